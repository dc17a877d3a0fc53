"""For plugin authors: tests to inherit, generated scenes, strategies.

    class TestMyPostProcessor(PostProcessorTests):
        spec = MyPostProcessor()

        def heads(self, scene):
            return {"foreground": (scene.truth.covered > 0)[None].astype("float32")}

`RecipeTests` needs nothing but a name and covers most. `toolkit.testing.scenes` draws images with known objects;
`toolkit.testing.strategies` (needs hypothesis) draws labels, instances, scenes and blocks. `seg plugins check` runs the
same tests without pytest.
"""

from toolkit.testing.loss import LossTests
from toolkit.testing.metric import MetricTests
from toolkit.testing.network import NetworkTests
from toolkit.testing.postprocessor import PostProcessorTests
from toolkit.testing.recipe import RecipeFormTests, RecipeTests

__all__ = ["LossTests", "MetricTests", "NetworkTests", "PostProcessorTests", "RecipeFormTests", "RecipeTests"]
