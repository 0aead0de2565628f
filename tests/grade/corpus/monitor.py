"""The corpus of monitor-1 to monitor-6."""

from __future__ import annotations

from corpus.monitor_sources import ALARM, ESTIMATE, MEASURES, QUEUED, RECORDER, RESPOND, WATCH
from corpus_types import Answers, Wrong, edited

QUANTILES = "np.quantile(reference, np.linspace(0, 1, bins + 1))"
OPEN = "    edges[0], edges[-1] = -np.inf, np.inf\n"
FLOOR = "(np.maximum(one, 1e-4) for one in shares)"
PSI_ALARM = """
import numpy as np

def alarm(reference, window):
    for one in range(reference.shape[1]):
        edges = np.unique(np.quantile(reference[:, one], np.linspace(0, 1, 11))[1:-1])
        shares = [np.bincount(np.searchsorted(edges, a[:, one]), minlength=len(edges) + 1) / len(a) for a in (reference, window)]
        expected, found = (np.maximum(share, 1e-4) for share in shares)
        if ((found - expected) * np.log(found / expected)).sum() > 0.2:
            return True
    return False
"""

EACH = (
    "with self.lock, self.database:\n                self.database.execute(",
    "with sqlite3.connect(self.path) as database:\n                database.execute(",
)
OPENED = ("self.lost, self.lock = 0, threading.Lock()", "self.path, self.lost, self.lock = path, 0, threading.Lock()")
FLASK = "__import__('flask').request.remote_addr"

CORPUS = {
    "monitor-1": Answers(
        right=[RECORDER, QUEUED, edited(RECORDER, EACH, OPENED)],
        wrong=[
            Wrong(edited(RECORDER, ("path, check_same_thread=False", "path"), ("except Exception:", "except ZeroDivisionError:")), "monitor-1.threads", "threads"),
            Wrong(edited(RECORDER, ("path, check_same_thread=False", "path")), "monitor-1.threads", "threads"),
            Wrong(edited(RECORDER, ("with self.lock, self.database:\n                self", "with self.lock:\n                self")), "monitor-1.threads", "uncommitted"),
            Wrong(edited(RECORDER, ("predictions", "log")), "monitor-1.threads", "table"),
            Wrong(edited(RECORDER, ("event.predictor.version", "1")), "monitor-1.columns", "values"),
            Wrong(edited(RECORDER, ("*map(float, figures)", "*[0.5] * 4")), "monitor-1.columns", "statistics"),
            Wrong(edited(RECORDER, ("confidence REAL", "score REAL")), "monitor-1.columns", "columns"),
            Wrong(edited(RECORDER, ("TEXT PRIMARY KEY", "TEXT"), (" ON CONFLICT DO NOTHING", "")), "monitor-1.once", "twice"),
            Wrong(edited(RECORDER, (" ON CONFLICT DO NOTHING", ""), ("except Exception:", "except ZeroDivisionError:")), "monitor-1.once", "again"),
            Wrong(edited(RECORDER, ("except Exception:", "except ZeroDivisionError:")), "monitor-1.full", "500"),
            Wrong(edited(RECORDER, ("self.lost += 1", "pass")), "monitor-1.full", "uncounted"),
            Wrong(edited(RECORDER, ("        if not found.rowcount:\n            raise KeyError(request_id)\n", "")), "monitor-1.feedback", "silent"),
            Wrong(edited(RECORDER, ("WHERE request_id = ?", "WHERE request_id <> ?")), "monitor-1.feedback", "unnoted"),
            Wrong(edited(RECORDER, ("brightest REAL", "image BLOB"), ("*map(float, figures)", "*map(float, figures[:3]), event.images[0].tobytes()")), "monitor-1.private", "image"),
            Wrong(edited(RECORDER, ("truth TEXT", "truth TEXT, address TEXT"), ("?, NULL)", "?, NULL, ?)"), ("*map(float, figures))", f"*map(float, figures), {FLASK})")), "monitor-1.private", "address"),
        ],
    ),
    "monitor-2": Answers(
        right=[MEASURES, edited(MEASURES, ("return float(np.abs(below[0] - below[1]).max())", "from scipy.stats import ks_2samp\n    return ks_2samp(reference, current).statistic"))],
        wrong=[
            Wrong(edited(MEASURES, (QUANTILES, "np.quantile(np.concatenate([reference, current]), np.linspace(0, 1, bins + 1))")), "monitor-2.psi", "current-bins"),
            Wrong(edited(MEASURES, (QUANTILES, "np.quantile(current, np.linspace(0, 1, bins + 1))")), "monitor-2.psi", "current-bins"),
            Wrong(edited(MEASURES, (FLOOR, "shares")), "monitor-2.empty", "infinite"),
            Wrong(edited(MEASURES, (OPEN, "")), "monitor-2.psi", "outside"),
            Wrong(edited(MEASURES, ("np.abs(below[0] - below[1]).max()", "abs(reference.mean() - current.mean())")), "monitor-2.ks", "means"),
            Wrong(edited(MEASURES, ("np.abs(below[0] - below[1]).max()", "(below[0] - below[1]).max()")), "monitor-2.ks", "one-sided"),
        ],
    ),
    "monitor-3": Answers(
        right=[ALARM],
        wrong=[
            Wrong(edited(ALARM, ("0.05 / columns", "0.05")), "monitor-3.quiet", "many-tests"),
            Wrong(PSI_ALARM, "monitor-3.small", "size"),
            Wrong(edited(ALARM, ("0.05 / columns", "1e-60")), "monitor-3.found", "deaf"),
        ],
    ),
    "monitor-4": Answers(
        right=[ESTIMATE, edited(ESTIMATE, ("return float(right[now].mean())", "return float(np.mean(window) - np.mean(reference['confidence']) + np.mean(reference['right']))"))],
        wrong=[
            Wrong(edited(ESTIMATE, ("float(right[now].mean())", "float(np.mean(window))")), "monitor-4.quiet", "raw"),
            Wrong(edited(ESTIMATE, ("float(right[now].mean())", "float(np.mean(reference['right']))")), "monitor-4.follows", "constant"),
            Wrong(edited(ESTIMATE, ("float(right[now].mean())", "float(right[now].mean()) - 8 * abs(float(np.mean(window) - np.mean(reference['confidence'])))")), "monitor-4.gentle", "fell"),
            Wrong(edited(ESTIMATE, ('("noise", "dark", "contrast")', '("noise", "dark", "contrast", "masks", "moved")')), "monitor-4.trust", "blind"),
            Wrong(edited(ESTIMATE, ('kind in ("noise", "dark", "contrast")', "False")), "monitor-4.trust", "never"),
            Wrong(edited(ESTIMATE, ("1.96**2 * ", "")), "monitor-4.labels", "one-deviation"),
        ],
    ),
    "monitor-5": Answers(
        right=[WATCH],
        wrong=[
            Wrong(edited(WATCH, ("RISK = 200, 50, 0.002", "RISK = 200, 10, 0.3"), ("if rings and before and not ringing", "if rings")), "monitor-5.quiet", "often"),
            Wrong(edited(WATCH, ("WINDOW, STEP, RISK = 200, 50", "WINDOW, STEP, RISK = 1900, 50")), "monitor-5.sudden", "late"),
            Wrong(edited(WATCH, ("found = p_values(reference, window)", "found = p_values({n: v[max(0, end - 400) : end - 200] if end > 400 else reference[n] for n, v in stream.items()}, window)")),
                  "monitor-5.slow", "never"),
            Wrong(edited(WATCH, ("values[end - WINDOW : end]", "values[end : end + WINDOW]"), ("len(stream[\"class\"]) + 1", "len(stream[\"class\"]) - 100")), "monitor-5.in-order", "ahead"),
            Wrong(edited(WATCH, ("alarms.append((end, name))", "alarms.append((end, 'drift'))")), "monitor-5.sudden", "reason"),
            Wrong(edited(WATCH, ("return alarms", "return len(alarms)")), "monitor-5.quiet", "form"),
        ],
    ),
    "monitor-6": Answers(
        right=[RESPOND, edited(RESPOND, ('images = np.concatenate([old.images, new.images[judged]])', 'images = np.concatenate([old.images, *[new.images[judged]] * 2])'), ('labels = np.concatenate([old.labels, new.labels[judged]])', 'labels = np.concatenate([old.labels, *[new.labels[judged]] * 2])'), ("0.1)", "10)"))],
        wrong=[
            Wrong(edited(RESPOND, ("[old.images, new.images[judged]]", "[new.images[judged]]"), ("[old.labels, new.labels[judged]]", "[new.labels[judged]]")), "monitor-6.masks", "forgot"),
            Wrong(edited(RESPOND, ("new.labels[judged]])", 'models["ask"](models["production"](), new.images[judged])])')), "monitor-6.masks", "own-answers"),
            Wrong(edited(RESPOND, ('(alarm["images"].std(axis=(1, 2)) < 1).mean() > 0.2', "False")), "monitor-6.camera", "camera"),
            Wrong(edited(RESPOND, ('return "source"', 'return "nothing"')), "monitor-6.camera", "silent"),
            Wrong(edited(RESPOND, ("old.images, new.images[judged]", "old.images"), ("old.labels, new.labels[judged]", "old.labels")), "monitor-6.masks", "unused"),
            Wrong(edited(RESPOND, ("judged.sum() < 200", "True")), "monitor-6.masks", "passive"),
            Wrong(edited(RESPOND, ('not alarm["harmful"]', "False")), "monitor-6.quiet", "restless"),
            Wrong(edited(RESPOND, ("judged = new.labels >= 0", 'judged = new.labels > -2'), ("new.labels[judged]])", 'models["ask"](models["production"](), new.images[judged])])')), "monitor-6.labels", "no-labels"),
            Wrong(edited(RESPOND, ('models["gates"](version) and', 'models["gates"](version) is not None and')), "monitor-6.release", "ungated"),
            Wrong(edited(RESPOND, ('models["gates"](version) and models["canary"](version, 0.1)', 'models["gates"](version)')), "monitor-6.release", "canary"),
            Wrong(edited(RESPOND, ("(version, 0.1)", "(version, 0.9)")), "monitor-6.release", "share"),
            Wrong(edited(RESPOND, ('return "kept"', "return None")), "monitor-6.release", "word"),
            Wrong(edited(RESPOND, ('    old, new =', '    if getattr(respond, "kept", 0) > 1:\n        return "nothing"\n    old, new ='), ('return "kept"', 'respond.kept = getattr(respond, "kept", 0) + 1\n    return "kept"')), "monitor-6.release", "skipped"),
        ],
    ),
}  # fmt: skip
