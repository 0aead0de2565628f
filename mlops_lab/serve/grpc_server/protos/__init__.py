"""The messages of the gRPC interfaces: four small ``.proto`` files and the code that ``tools/protos.py`` makes of them.

They bear the names of TensorFlow's and Triton's own messages, because the names and numbers are the protocol. They live
in a pool of descriptors of their own, so that the real ones can be imported into the same process.
"""
