"""Reference answers to monitor-1 to monitor-6."""

from corpus_types import solution

RECORDER = """
import sqlite3
import threading

import numpy as np

class Recorder:
    def __init__(self, path):
        self.lost, self.lock = 0, threading.Lock()
        self.database = sqlite3.connect(path, check_same_thread=False)
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS predictions (request_id TEXT PRIMARY KEY, time REAL, version INTEGER, class TEXT, "
            "confidence REAL, brightness REAL, contrast REAL, filled REAL, brightest REAL, truth TEXT)"
        )
        self.database.commit()

    def __call__(self, event):
        try:
            said, image = event.predictions[0], np.asarray(event.images[0], float)
            figures = (image.mean(), image.std(), (image > 20).mean(), np.quantile(image, 0.9))
            row = (event.request_id, event.time, event.predictor.version, said.label, said.confidence, *map(float, figures))
            with self.lock, self.database:
                self.database.execute(
                    "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING", row
                )
        except Exception:
            with self.lock:
                self.lost += 1

    def feedback(self, request_id, label):
        with self.lock, self.database:
            found = self.database.execute("UPDATE predictions SET truth = ? WHERE request_id = ?", (label, request_id))
        if not found.rowcount:
            raise KeyError(request_id)
"""

QUEUED = """
import queue
import sqlite3
import threading
from contextlib import closing
from sqlite3 import connect

COLUMNS = ("request_id", "time", "version", "class", "confidence", "mean", "deviation", "lowest", "middle", "truth")

class Recorder:
    def __init__(self, path):
        self.path, self.lost, self.waiting = path, 0, queue.Queue()
        with closing(connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(f"CREATE TABLE predictions ({', '.join(COLUMNS)}, UNIQUE (request_id))")
            database.commit()
        threading.Thread(target=self.write, daemon=True).start()

    def write(self):
        database = connect(self.path)
        while True:
            group = [self.waiting.get()]
            while not self.waiting.empty() and len(group) < 20:
                group.append(self.waiting.get())
            try:
                with database:
                    marks = ", ".join("?" * len(COLUMNS))
                    database.executemany(f"INSERT OR IGNORE INTO predictions VALUES ({marks})", group)
            except sqlite3.Error:
                self.lost += len(group)
            for _ in group:
                self.waiting.task_done()

    def __call__(self, event):
        image, rows = event.images[0], event.rows[0]
        figures = [float(one) for one in (image.mean(), image.std(), image.min(), sorted(image.ravel())[392])]
        version = f"v{event.predictor.version}"
        self.waiting.put((event.request_id, event.time, version, int(rows.argmax()), float(rows.max()), *figures, None))

    def close(self):
        self.waiting.join()

    def feedback(self, request_id, label):
        self.waiting.join()
        with closing(connect(self.path)) as database:
            found = database.execute("UPDATE predictions SET truth = ? WHERE request_id = ?", (label, request_id))
            database.commit()
            return found.rowcount == 1
"""

MEASURES = solution("monitor-2")

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

ESTIMATE = solution("monitor-4", "import numpy as np\n")

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

RESPOND = solution("monitor-6", "import numpy as np\n")
