"""The plots of the model card."""

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

matplotlib.rcParams.update({"svg.hashsalt": "ampulla", "svg.fonttype": "none", "font.size": 9})


def reliability(report, path):
    """Share of flows that are right against the mean confidence, by band; the
    area of a point is the share of flows in it."""
    figure, axes = pyplot.subplots(figsize=(3.6, 3.4), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for split, colour in (("held out", "#1f77b4"), ("dev", "#d62728")):
        bands = report[split]["last"]["reliability"]
        axes.scatter([b["confidence"] for b in bands], [b["right"] for b in bands],
                     s=[8 + 300 * b["share"] for b in bands], color=colour, alpha=0.6, linewidth=0, label=split)
    axes.set(xlabel="mean confidence", ylabel="share that is right", xlim=(0, 1.03), ylim=(0, 1.03))
    axes.legend(loc="upper left", markerscale=0.5)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
