"""The whole life cycle as a loop: data, train, validate, release, monitor, and from drift to a better version.

``run_loop("pipeline.toml")`` is ``mlops-lab pipeline run pipeline.toml``. The steps stand in ``candidate`` (make a
version and test it), ``production`` (canary, promote, back) and ``watching`` (monitor, drift, collect); ``engine`` runs
each once for the same inputs. ``pipeline.day()`` simulates two days of production in minutes.
"""
