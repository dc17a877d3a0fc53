"""The plugin keeps to what every plugin must keep to."""

from toolkit.testing import RecipeTests


class TestRecipe(RecipeTests):
    name = "stars:stars"
