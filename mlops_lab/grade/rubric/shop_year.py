"""A year of an invented shop, in fourteen events; data-1 asks which stage of the life cycle each belongs to."""

from __future__ import annotations

STAGES = ("data", "training", "evaluation", "deployment", "integration", "monitoring")
# The words under which a stage is recognised: the course writes some stages with two names.
WORDS = {
    "data": ("data", "collect"),
    "training": ("train",),
    "evaluation": ("evaluat", "validat"),
    "integration": ("integrate", "integration", "accept"),
    "deployment": ("deploy", "production", "release"),
    "monitoring": ("monitor",),
}
# The event, and the stage that it belongs to.
EVENTS: dict[str, tuple[str, str]] = {
    "photographs": ("Two people photograph 3,000 garments in the storeroom.", "data"),
    "names": ("They agree on ten names and write one beside each photograph.", "data"),
    "copies": ("Forty photographs that are there twice are thrown out.", "data"),
    "first network": ("A network learns from 2,400 of the photographs over night.", "training"),
    "six rates": ("Six learning rates are tried, and the weights of the best are kept.", "training"),
    "91 of 100": ("The finished network names 91 of 100 photographs right that it never saw.", "evaluation"),
    "dark garments": ("Somebody compares how often it is right for dark and for light garments.", "evaluation"),
    "staging": ("The image runs on a copy of the shop's site that only its staff can open.", "integration"),
    "load test": ("A thousand invented customers ask the running server, before any real one does.", "integration"),
    "image": ("The server and its model are packed into a container image.", "deployment"),
    "first of March": ("The shop's site sends its customers' photographs to the new server.", "deployment"),
    "log": ("The class and the time of each answer are written into a table.", "monitoring"),
    "masks": ("Customers wear masks since spring, and somebody notices that the answers are less sure.", "monitoring"),
    "four o'clock": ("An alarm rings on a Sunday at four: answers take two seconds.", "monitoring"),
}
# What a team does; DevOps automated four of these before there were models.
ACTIVITIES = ("build", "test", "integrate", "deploy", "label", "train", "watch for drift", "retrain")
AUTOMATED = frozenset({"build", "test", "integrate", "deploy"})


def stage_of(word: object) -> str:
    """Return the stage that a word means, or an empty string.

    Examples
    --------
    >>> stage_of("Integration and acceptance tests"), stage_of("lunch")
    ('integration', '')
    """
    text = str(word).strip().lower()
    return next((stage for stage, words in WORDS.items() if any(one in text for one in words)), "")
