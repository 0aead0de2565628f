"""Learn MLOps by doing it: the life of a machine-learning model, on one laptop, offline.

The stages, in the order of the course, each a module of the same name::

    from mlops_lab import data, train, store, serve, validate, deploy

    dataset = data.load("fashion-mnist")          # 1 data: 70,000 labelled images of garments
    run = train.fit(dataset)                      # 2 train: the course's LeNet-5
    models = store.ModelStore("models")           # 3 store: versions on disk that load safely
    models.publish(run, "clothes")
    server = serve.start(models)                  # 4 serve: an inference server behind this kernel
    serve.Client(server.url).classify("clothes", "v1", dataset.test.images[0])
    validate.check_contract(server.url, models.get("clothes"))  # 5 validate: does it answer as it should?
    deploy.files(deploy.make_spec(models.root, "clothes"), "docker")  # 6 deploy: the files that bring it elsewhere

``pipeline.release`` does all of the last three for a new version, and rolls back what fails.

Importing this package costs nothing: no TensorFlow, no network, no file is touched.
"""

__version__ = "0.1.0"
