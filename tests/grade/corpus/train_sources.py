"""Reference answers to train-1 to train-5."""

CURVES = """
def best_epoch(history):
    losses = history["val_loss"]
    return losses.index(min(losses)) + 1

def overfits_from(history):
    losses = history["val_loss"]
    for start in range(len(losses) - 5):
        part = losses[start : start + 6]
        if all(later > earlier for earlier, later in zip(part, part[1:])):
            return start + 1
    return None
"""

SEARCH = """
def search(configs, train, score):
    models = [train(config) for config in configs]
    scores = [score(model, "validation") for model in models]
    best = scores.index(max(scores))
    return configs[best], score(models[best], "test")
"""
