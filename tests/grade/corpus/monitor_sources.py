"""Reference answers to monitor-2 to monitor-6."""

MEASURES = """
import numpy as np

def psi(reference, current, bins=10):
    edges = np.quantile(reference, np.linspace(0, 1, bins + 1))
    edges[0], edges[-1] = -np.inf, np.inf
    shares = [np.histogram(one, edges)[0] / len(one) for one in (reference, current)]
    expected, found = (np.maximum(one, 1e-4) for one in shares)
    return float(((found - expected) * np.log(found / expected)).sum())

def ks(reference, current):
    both = np.concatenate([reference, current])
    below = [np.searchsorted(np.sort(one), both, side="right") / len(one) for one in (reference, current)]
    return float(np.abs(below[0] - below[1]).max())
"""

ALARM = """
import numpy as np
from scipy.stats import kstwobign

def p_value(reference, window):
    both = np.concatenate([reference, window])
    below = [np.searchsorted(np.sort(one), both, side="right") / len(one) for one in (reference, window)]
    size = len(reference) * len(window) / (len(reference) + len(window))
    return float(kstwobign.sf(np.abs(below[0] - below[1]).max() * np.sqrt(size)))

def alarm(reference, window):
    columns = reference.shape[1]
    return any(p_value(reference[:, one], window[:, one]) < 0.05 / columns for one in range(columns))
"""

ESTIMATE = """
import math
import numpy as np

def estimate(reference, window):
    edges = np.unique(np.quantile(reference["confidence"], np.linspace(0, 1, 11))[1:-1])
    known, now = np.searchsorted(edges, reference["confidence"]), np.searchsorted(edges, window)
    asked = np.bincount(known, minlength=len(edges) + 1)
    right = np.bincount(known, reference["right"], minlength=len(edges) + 1) / np.maximum(asked, 1)
    return float(right[now].mean())

def trust(kind):
    return kind in ("noise", "dark", "contrast")

def labels(accuracy):
    return math.ceil(1.96**2 * accuracy * (1 - accuracy) / 0.05**2)
"""

WATCH = """
import numpy as np
from scipy.stats import chi2_contingency, kstwobign

def p_value(reference, window):
    both = np.concatenate([reference, window])
    below = [np.searchsorted(np.sort(one), both, side="right") / len(one) for one in (reference, window)]
    size = len(reference) * len(window) / (len(reference) + len(window))
    return float(kstwobign.sf(np.abs(below[0] - below[1]).max() * np.sqrt(size)))

WINDOW, STEP, RISK = 200, 50, 0.002

def p_values(reference, window):
    found = {}
    for name in window:
        if name == "class":
            counts = np.array([np.bincount(one[name], minlength=10) for one in (reference, window)])
            found[name] = chi2_contingency(counts[:, counts.sum(axis=0) > 0]).pvalue
        else:
            found[name] = p_value(reference[name], window[name])
    return found

def watch(reference, stream):
    alarms, before, ringing = [], False, False
    for end in range(WINDOW, len(stream["class"]) + 1, STEP):
        window = {name: values[end - WINDOW : end] for name, values in stream.items()}
        found = p_values(reference, window)
        name = min(found, key=found.get)
        rings = found[name] * len(found) < RISK
        if rings and before and not ringing:
            alarms.append((end, name))
            ringing = True
        ringing, before = ringing and rings, rings
    return alarms
"""

RESPOND = """
import numpy as np

def shows_nothing(images):
    return np.mean(images.std(axis=(1, 2)) < 1) > 0.2

def respond(alarm, models, data):
    if shows_nothing(alarm["images"]):
        return "source"
    if not alarm["harmful"]:
        return "nothing"
    old, new = data["old"], data["new"]
    judged = new.labels >= 0
    if judged.sum() < 200:
        return "wait"
    images = np.concatenate([old.images, new.images[judged]])
    labels = np.concatenate([old.labels, new.labels[judged]])
    version = models["train"](images, labels)
    if models["gates"](version) and models["canary"](version, 0.1):
        models["promote"](version)
        return "retrained"
    return "kept"
"""
