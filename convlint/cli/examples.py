"""The examples under the help of each command, and what its exit codes mean."""

CHECK = """\
examples:
  convlint check torchvision.models:resnet50 --input 1x3x224x224
  convlint check my/models.py:Segmenter --arg width=64 --input image=1x3x512x512:float32 --target iOS17
  convlint check transformers:LlamaForCausalLM --arg-expr 'config=transformers.LlamaConfig()' \\
      --input input_ids=1x64:int64
  convlint check --model segmenter    # from [tool.convlint] in pyproject.toml
  convlint check                      # every model configured there
  convlint check --report report.html --report report.sarif

exit codes:
  0 clean   1 findings at or above --fail-on   2 bad use or configuration
  3 the model could not be imported, built or captured
"""

FIX = """\
examples:
  convlint fix torchvision.models:swin_t --input 1x3x224x224
  convlint fix my/models.py:Net --input 1x3x64x64 --write
  convlint fix my/models.py:Encoder --input 1x128x512 --for ane

exit codes:
  0 the fixed model converts   1 something is left   2 bad use or configuration
  3 the model could not be imported, built or run
"""

COMPRESS = """\
examples:
  convlint compress torchvision.models:resnet50 --input 1x3x224x224 --to int8,palettize:4
  convlint compress my/models.py:Net --input 1x3x64x64 --to int4 --target iOS18 --checkpoint trained.pt
  convlint compress my/models.py:Net --input 1x3x64x64 --precision mixed

exit codes: those of check
"""

UPGRADE = """\
examples:
  convlint upgrade 9.0 9.1.dev1                                        # every configured model
  convlint upgrade 9.0 9.1.dev1 my/models.py:Net --input 1x3x64x64

Nothing is converted, and neither release need be installed: the rules know what each of them refuses.
exit codes:
  0 nothing breaks   1 TO refuses what FROM converts   2 bad use or configuration
  3 the model could not be imported, built or captured
"""

CONFIG = """\
examples:
  convlint config                     # every setting of every model, and where it comes from
  convlint config --model segmenter --target iOS18
  convlint config --check             # in a hook or in CI

exit codes:
  0 the configuration can be used   2 it cannot, with every reason
"""

COMPARE = """\
examples:
  convlint compare torchvision.models:resnet18 --input 1x3x224x224
  convlint compare my/models.py:Net --input 1x3x64x64 --runtime onnx --runtime coreml-export

exit codes:
  0 some runtime takes the model   1 none does   2 bad use or configuration
  3 the model could not be imported, built or run
"""

PLAN = """\
examples:
  convlint plan torchvision.models:resnet50 --input 1x3x224x224
  convlint plan my/models.py:Net --input 1x3x64x64 --chip M2 --os macOS14 --compute-units cpu+ane
  convlint plan torchvision.models:resnet50 --input 1x3x224x224 --chip A15,A17Pro,M4
  convlint plan torchvision.models:resnet50 --input 1x3x224x224 --chip all --os iOS18 --max-ms 5
  convlint plan my/models.py:Net --input 1x3x64x64 --chip M4 --compute-units cpu+ane --compare-with plan.json
  convlint plan --model segmenter --report plan.html
  convlint plan --model segmenter --format markdown
  convlint plan --model segmenter --diff main.json
  convlint plan --model segmenter --chip A18Pro --compare-with segmenter.mlperf

A forecast from published measurements: nothing is run on a device, unless --measure is given on a Mac.
exit codes:
  0 planned   1 planned, and above --max-ms, or lines left the Neural Engine since --diff
  2 bad use or configuration   3 the model could not be imported, built or captured
"""

CALIBRATE = """\
examples:
  convlint plan --model a --chip M4Pro --compare-with a.mlperf --format json > a.json    # one for each model
  convlint calibrate a.json b.json c.json
  convlint calibrate *.json --dry-run

Fits a few numbers of the chip to what was measured, each model foretold by the others, and writes those that
help to .convlint/chips.toml beside the configuration. Later plans for the chip use them. Delete the file to
go back.
exit codes:
  0 fitted, or the shipped numbers are as good   2 bad use or configuration
"""

MAIN = """\
examples:
  convlint check torchvision.models:resnet50 --input 1x3x224x224    # does it convert, and where would it run?
  convlint fix my/models.py:Net --input 1x3x64x64                   # how would it convert?
  convlint rule CL104                                               # what a code in a report means
  convlint init                                                     # a configuration for this project
"""

RULES = """\
examples:
  convlint rules                        # every rule, one a line
  convlint rules test                   # prove every rule with the installed coremltools
  convlint rules test CL104 ane         # one rule, and those of a category
  convlint rules new gelu-tanh --category support --path lint/rules
"""

EXPLAIN = """\
examples:
  convlint explain "PyTorch convert function for op 'diff' not implemented"
  python convert.py 2>&1 | convlint explain -

exit codes:
  0 something is known of it   1 nothing is   2 bad use
"""

BASELINE = """\
examples:
  convlint baseline write     # every configured model; check then fails on new findings alone
  convlint baseline prune     # after findings were fixed
"""

COMPLETION = """\
examples:
  source <(convlint completion bash)                                          # in ~/.bashrc
  source <(convlint completion zsh)                                           # in ~/.zshrc
  convlint completion fish > ~/.config/fish/completions/convlint.fish
"""

CATALOGUE = """\
examples:
  convlint catalogue                                              # every architecture that was measured
  convlint catalogue --task detection --converts as-is --sort latency
  convlint catalogue swin --chip M4 --max-ms 5
  convlint catalogue show timm/fastvit_t8                         # all of one, and how to measure it again
"""
