"""The exercises of notebook 07: every printed solution passes its check, and plausible wrong answers do not."""

from dataclasses import replace

import exercises
import pytest

from ftpkit import names

BOOK = exercises.Book("07_quantized_resnets")

REAL = "class RealBlock(Block):\n    def forward(self, x):\n        "
READ = 'logs = np.log(measured("sign:SSTE", "threshold", "size")).mean(axis=0)\n'
REMEASURED = """
def remeasured(model, split):
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = {momentum}
    model.train({training})
    with torch.no_grad():
        for x, _ in data.Batches(split, 100):
            model(x)
    return {model}
"""
LEVELS = """
def with_levels(k):
    net = models.ResNet(lambda: Sign("FTP-SH"), depth=8)
    net.act1 = QuantReLU({stem}, "FTP-SH")
    for stage in (net.layer1, net.layer2, net.layer3):
        stage[0].{where} = QuantReLU(k, "FTP-SH")
    return net
"""
WRONG = {
    1: [
        "counted = {18: (17, 9), 34: (33, 17), 50: (33, 17), 101: (67, 34)}",  # bottlenecks taken for basic blocks
        "counted = {18: (18, 9), 34: (34, 17), 50: (50, 17), 101: (101, 34)}",  # the last layer has none
        "counted = {18: (17, 8), 34: (33, 16), 50: (49, 16), 101: (100, 33)}",  # without the stem's
    ],
    2: [
        REAL + "return super().forward(x)",  # the paper's block
        REAL + "x = SoftSign.apply(x)\n        h = self.bn1(self.conv1(x))\n"
        "        return self.bn2(self.conv2(SoftSign.apply(h))) + self.skip(x)",  # the skip path sees the sign of x
        REAL + "h = SoftSign.apply(self.bn1(self.conv1(x)))\n"
        "        return self.bn2(self.conv2(h)) + self.skip(x)",  # one threshold too few
    ],
    3: [
        READ
        + 'factor_read = np.exp((logs[20] - logs[4]) / 16)\nblocks_read, culprit = 60, "the skip path\'s threshold"',
        READ + "factor_read = np.exp((logs[4] - logs[20]) / 16)\nblocks_read, culprit = 60, 'the branch'",
        READ + "factor_read = np.exp((logs[4] - logs[20]) / 16)\n"
        'blocks_read, culprit = round(np.log(0.001) / np.log(factor_read)) + 5, "the skip path\'s threshold"',
        READ
        + 'factor_read = np.exp((logs[0] - logs[24]) / 16)\nblocks_read, culprit = 30, "the skip path\'s threshold"',
    ],
    4: [
        REMEASURED.format(momentum="0.1", training="", model="model.eval()"),
        REMEASURED.format(momentum="None", training="False", model="model.eval()"),
        REMEASURED.format(momentum="None", training="", model="model"),
        "def remeasured(model, split):\n"
        "    train.fit(model, split, epochs=1, lr=1e-3, progress=False)\n    return model",  # learns besides
    ],
    5: [
        LEVELS.format(stem="k", where="act1"),
        LEVELS.format(stem="3", where="act2"),
        "def with_levels(k):\n    return models.ResNet(lambda: QuantReLU(k, 'FTP-SH'), depth=8)",
        "def with_levels(k):\n    return models.ResNet(lambda: Sign('FTP-SH'), depth=8)",
    ],
}


@pytest.fixture(scope="module")
def namespace():
    """What a reader has defined when the exercises begin, without the networks trained on the way."""
    code = [text for kind, text in BOOK.before if kind == "code"]
    namespace = {"__name__": "__main__"}
    for needed in ("from torch import nn", "class Block(", "images = data.load", "def measured("):
        (cell,) = [text for text in code if needed in text]
        exec(cell, namespace)
    images = namespace["images"]
    namespace["images"] = replace(images, test=images.test.subset(100))
    namespace["few"] = images.train.subset(200)
    namespace["nets"] = {("resnet8", "relu"): names.NETWORKS["resnet8"](names.as_activation("relu"))}
    return BOOK.begin(namespace)


def test_there_are_enough_and_each_has_goal_time_hint_and_solution():
    BOOK.assert_well_formed(WRONG)


@pytest.mark.parametrize("number", WRONG)
def test_the_solution_is_right(namespace, number):
    assert BOOK.exercises[number].attempt(namespace, BOOK.exercises[number].solution).startswith("right")


@pytest.mark.parametrize("number, wrong", [(number, text) for number, texts in WRONG.items() for text in texts])
def test_a_wrong_answer_is_refused(namespace, number, wrong):
    with pytest.raises(AssertionError):
        BOOK.exercises[number].attempt(namespace, wrong)
