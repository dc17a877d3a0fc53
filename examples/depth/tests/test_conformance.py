"""The plugin keeps to what every plugin must keep to."""

from toolkit_depth import Depth

from toolkit.testing import LossTests, RecipeTests


class TestLoss(LossTests):
    spec = Depth()


class TestRecipe(RecipeTests):
    name = "depth:depth"
