"""Learn MLOps by doing it: the lifecycle of a machine-learning model, on one laptop, offline.

The stages of the course, each a module::

    from mlops_lab import data, train, store, serve, validate, deploy

    dataset = data.load("fashion-mnist")          # 1 data: 70,000 labelled images of garments
    run = train.fit(dataset)                      # 2 train: the course's LeNet-5
    models = store.ModelStore("models")           # 3 store: versions on disk, loaded safely
    models.publish(run, "clothes")
    server = serve.start(models)                  # 4 serve: an inference server behind this kernel
    serve.Client(server.url).classify("clothes", "v1", dataset.test.images[0])
    validate.check_contract(server.url, models.get("clothes"))  # 5 validate: contract tests over HTTP
    deploy.files(deploy.make_spec(models.root, "clothes"), "docker")  # 6 deploy: Dockerfile, Compose, Kubernetes

``pipeline.release`` runs the last three for a new version, and rolls back on failure.

Importing this package is cheap: it loads no TensorFlow, opens no file and uses no network.
"""

__version__ = "0.2.0"
