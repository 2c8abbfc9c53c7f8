"""Every private API of coremltools that convlint uses, and nothing else, one module a kind.

When a release moves one of them, this is the place to change. Each function imports coremltools
itself, so that importing this package costs nothing.
"""

from __future__ import annotations

from convlint.coremltools_adapter.converters import (
    accepted_counts,
    converter_for,
    converter_name_of,
    converter_table,
    foreign_converters,
    is_foreign,
    is_registered,
    register_converter,
    registered_converters,
    set_converter_table,
    unregister_converter,
)
from convlint.coremltools_adapter.frontend import (
    export_kind,
    internal_node,
    node_reader,
    stand_in,
    torchscript_graph,
    transcription,
)
from convlint.coremltools_adapter.light import light_constants
from convlint.coremltools_adapter.passes import (
    apply_passes,
    apply_pipeline,
    backend_pipeline,
    check_inputs,
    check_outputs,
    check_program,
    complex_pipeline,
    without_bars,
)
from convlint.coremltools_adapter.programs import (
    constants_replaced,
    is_parameter,
    is_state,
    is_variable,
    is_without_value,
    mil_program,
    operation_names,
    operations,
    origin_of_error,
    program_of_model,
    said_origin,
    stack_text,
    value_type,
)
from convlint.coremltools_adapter.quantization import quantize_activations

__all__ = [
    "accepted_counts",
    "apply_passes",
    "apply_pipeline",
    "backend_pipeline",
    "check_inputs",
    "check_outputs",
    "check_program",
    "complex_pipeline",
    "constants_replaced",
    "converter_for",
    "converter_name_of",
    "converter_table",
    "export_kind",
    "foreign_converters",
    "internal_node",
    "is_foreign",
    "is_parameter",
    "is_registered",
    "is_state",
    "is_variable",
    "is_without_value",
    "light_constants",
    "mil_program",
    "node_reader",
    "operation_names",
    "operations",
    "origin_of_error",
    "program_of_model",
    "quantize_activations",
    "register_converter",
    "registered_converters",
    "said_origin",
    "set_converter_table",
    "stack_text",
    "stand_in",
    "torchscript_graph",
    "transcription",
    "unregister_converter",
    "value_type",
    "without_bars",
]
