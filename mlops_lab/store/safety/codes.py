"""Every code word of the audit, with the hint a student reads beside it. Codes never change their meaning."""

from __future__ import annotations

AGAIN = "Get the file again from its author, or save the model again with model.save('name.keras')."
TAMPERED = "Do not load it: Keras never writes such a file. Ask its author for one made by model.save()."
REPACK = (
    "Another program than Keras packed this archive. If you know where it comes from, unpack it and pack it again: "
    "zip -0 -X model.keras config.json metadata.json model.weights.h5."
)
NAME = "Give the layer another name: at most 128 printable characters, none of them a path such as '..' or '/x'."
ONNX = (
    "Get the file again from its author, or export the model again: torch.onnx.export, tf2onnx and skl2onnx write no "
    "such file."
)
SKOPS = "Do not load it: skops never writes such a file. Ask its author for one made by skops.io.dump()."
UNBOUNDED = (
    "Export the model again with fixed sizes: a size or a number of steps that comes out of the data lets one small "
    "input cost any amount of time and memory."
)
EXPORTED = "Do not load it: model.export() writes no such file. Ask its author for the folder that it wrote."
CODE = "Do not load it. Rebuild the model in your own code, or ask for one made of built-in layers only."
REBUILD = "Ask the author for a model made of Keras's own layers, or build it yourself and train it again."
SMALLER = "Ask for a smaller model; if you know the file is good, raise the limit with max_bytes=."
PICKLE = (
    "Loading a pickle runs code. Save scikit-learn models with skops and Keras models with model.save('name.keras'); "
    "where you know its author's digest, store.load_pickle(path, trust=True, sha256=...) loads it."
)
WEIGHTS = "The weights and the configuration do not belong together: get the file again from its author."
EXPORT = "Export the model again, with all weights inside the one file."

ZIP = {
    "zip_prefix": TAMPERED,
    "zip_trailing": TAMPERED,
    "zip_comment": REPACK,
    "zip_truncated": AGAIN,
    "zip_zip64": REPACK,
    "zip_header": TAMPERED,
    "zip_gap": TAMPERED,
    "zip_overlap": TAMPERED,
    "zip_members": REPACK,
    "zip_name": TAMPERED,
    "zip_path": TAMPERED,
    "zip_duplicate": TAMPERED,
    "zip_case": TAMPERED,
    "zip_symlink": TAMPERED,
    "zip_directory": REPACK,
    "zip_special": TAMPERED,
    "zip_encrypted": TAMPERED,
    "zip_flags": REPACK,
    "zip_extra": REPACK,
    "zip_compression": REPACK,
    "zip_bomb": TAMPERED,
    "zip_member_size": SMALLER,
    "zip_size": TAMPERED,
    "zip_crc": AGAIN,
    "zip_deflate": AGAIN,
    "zip_unexpected_member": REPACK,
    "zip_missing_member": AGAIN,
}
JSON = {
    "json_size": TAMPERED,
    "json_tokens": TAMPERED,
    "json_encoding": TAMPERED,
    "json_syntax": AGAIN,
    "json_depth": TAMPERED,
    "json_duplicate_key": TAMPERED,
    "json_not_finite": TAMPERED,
    "json_number": TAMPERED,
    "metadata": AGAIN,
    "metadata_version": "Ask which Keras wrote the file; versions 2 and 3 are known here.",
    "metadata_lie": "The stamp does not fit the content: get the file again from its author.",
}
CONFIG = {
    "lambda_layer": CODE,
    "python_lambda": CODE,
    "function_reference": CODE,
    "tfsm_layer": CODE,
    "torch_module": CODE,
    "foreign_layer": CODE,
    "lookup_layer": "Do not load it: lookups can name files to read. Keep the vocabulary in your own code.",
    "type_spec": CODE,
    "foreign_class": REBUILD,
    "unknown_class": REBUILD,
    "registered_name": REBUILD,
    "unknown_activation": REBUILD,
    "layer_name": NAME,
    "layer_name_duplicate": TAMPERED,
    "config_structure": TAMPERED,
    "config_layers": TAMPERED,
    "config_value": TAMPERED,
    "config_number": TAMPERED,
    "config_giant": SMALLER,
    "config_shape": TAMPERED,
    "graph_cycle": TAMPERED,
    "shared_object": TAMPERED,
}
HDF5 = {
    "h5_prefix": TAMPERED,
    "h5_truncated": AGAIN,
    "h5_trailing": TAMPERED,
    "h5_damaged": AGAIN,
    "h5_soft_link": TAMPERED,
    "h5_external_link": TAMPERED,
    "h5_external": TAMPERED,
    "h5_virtual": TAMPERED,
    "h5_cycle": TAMPERED,
    "h5_shared": TAMPERED,
    "h5_object": TAMPERED,
    "h5_name": TAMPERED,
    "h5_filter": TAMPERED,
    "h5_dtype": TAMPERED,
    "h5_storage": TAMPERED,
    "h5_bomb": TAMPERED,
    "h5_too_many": TAMPERED,
    "h5_rank": TAMPERED,
    "h5_no_model": "This HDF5 file holds no Keras model; load_weights() is for files with weights only.",
    "weights_not_finite": "The training went wrong (NaN or infinity): train again with a smaller learning rate.",
    "weights_missing": WEIGHTS,
    "weights_extra": WEIGHTS,
    "weights_shape": WEIGHTS,
}
OTHER = {
    "too_large": SMALLER,
    "empty": AGAIN,
    "not_a_file": "Give the path of a regular file or of a model's folder.",
    "symlink": "Give the path of the file itself.",
    "unknown_format": "Give a .keras, .onnx or .skops file, a SavedModel folder or a version of the store.",
    "not_a_model": "This file holds data, not a model.",
    "pickle": PICKLE,
    "pickle_compressed": PICKLE,
    "pickle_in_zip": PICKLE,
    "numpy_object": PICKLE,
    "skops_untrusted": "Do not load it: it names a type that is not scikit-learn's or NumPy's own.",
    "skops_tree": "skops does not trust trees either: take the model as ONNX, or pin the file by its SHA-256.",
    "skops_structure": SKOPS,
    "skops_array": SKOPS,
    "protobuf": AGAIN,
    "onnx_external": EXPORT,
    "onnx_domain": "Export the model with standard operators only.",
    "onnx_operator": "Export the model with standard operators only.",
    "onnx_cycle": ONNX,
    "onnx_undefined": ONNX,
    "onnx_dims": ONNX,
    "onnx_length": ONNX,
    "onnx_dtype": ONNX,
    "onnx_not_finite": "The training went wrong (NaN): train again with a smaller learning rate.",
    "onnx_structure": ONNX,
    "onnx_giant": "Do not run it: its values would not fit in memory. Ask its author for a smaller model.",
    "onnx_unbounded": UNBOUNDED,
    "onnx_division": "Divide by a constant, or turn the numbers into float32 first.",
    "saved_model_operator": "Do not load it: a model needs no such operation. Export it again with model.export().",
    "saved_model_assets": "Export the model without asset files.",
    "saved_model_file": EXPORTED,
    "saved_model_structure": AGAIN,
    "folder_manifest": "Publish the version again: its manifest cannot be read.",
    "folder_missing": "Publish the version again: a file of its manifest is missing.",
    "folder_checksum": "Publish the version again: a file is not what its manifest lists.",
    "folder_extra": "Remove the file: it does not belong to the model.",
    "audit_failed": "The audit could not understand the file, so it is refused. " + AGAIN,
}
CODES = {**ZIP, **JSON, **CONFIG, **HDF5, **OTHER}
# What loading such a file would run, or what it names would.
RUNS_CODE = {
    "lambda_layer", "python_lambda", "function_reference", "tfsm_layer", "torch_module", "foreign_layer", "type_spec",
    "foreign_class", "registered_name", "pickle", "pickle_compressed", "pickle_in_zip", "numpy_object",
    "skops_untrusted", "saved_model_operator",
}  # fmt: skip
# What has no bound on its time or memory, or could not be bounded.
UNBOUNDED_COST = {
    "zip_bomb", "zip_member_size", "zip_members", "json_size", "json_tokens", "json_depth", "config_layers",
    "config_value", "config_giant", "graph_cycle", "shared_object", "h5_bomb", "h5_cycle", "h5_too_many", "h5_virtual",
    "too_large", "skops_tree", "onnx_cycle", "onnx_giant", "onnx_unbounded", "audit_failed",
}  # fmt: skip

# Codes of JSON and archives are shared by formats; what to do depends on who writes the format.
HINTS = {
    "skops": {
        TAMPERED: SKOPS,
        AGAIN: "Get the file again from its author, or save the model again with skops.",
        REPACK: SKOPS,
    },
    "onnx": {TAMPERED: ONNX, AGAIN: ONNX},
    "saved-model": {TAMPERED: EXPORTED, AGAIN: "Get the folder again from its author, or export the model again."},
    "version-folder": {
        TAMPERED: "Publish the version again: nothing that publishes writes such a file.",
        AGAIN: "Publish the version again.",
    },
}


def hint_for(code: str, format: str) -> str:
    """Return what to do about a finding in a file of a format."""
    hint = CODES[code]
    return HINTS.get(format, {}).get(hint, hint)
