#pragma once

/// What `--help` prints.
namespace offbeat::edge {

inline constexpr char general_help[] = R"(offbeat-edge scores rows of numbers for anomalies, with a model that offbeat trained and exported.

  offbeat-edge score MODEL < rows.csv     a line for each score, as the rows come in
  offbeat-edge inspect MODEL              what the model takes and gives
  offbeat-edge verify FOLDER              replays the golden windows: is this the model that was trained?
  offbeat-edge bench MODEL                time of a call by batch size, as JSON
  offbeat-edge COMMAND --help             flags and examples
  offbeat-edge --version

MODEL is a model version folder, a folder of versions, of which the newest is taken, or a model.safetensors alone. A folder is checked
before it is used: digests of all files, and the golden windows. A file alone is taken as it is.

Each flag can be given by a variable: --on-bad-row skip as OFFBEAT_EDGE_ON_BAD_ROW=skip.
Exit codes: 0 done, 1 verify found other scores, 2 wrong usage, 3 the model cannot be loaded, 4 a row that cannot be scored, 5 reading or
writing failed.
)";

inline constexpr char score_help[] = R"(offbeat-edge score MODEL [flags] < rows

Reads rows from standard input and writes a csv line for each score: the row, counted from 0, and the outputs. A score is that of the window
that ends with the row. Whatever rows have come are answered before more are waited for.

  --outputs NAMES     of each line: reconstruction_error,anomaly_score,is_anomaly; also feature_error, step_error, reconstruction, error_std,
                      class_probability, forecast, where the model has them
  --stride N          rows from one scored window to the next: 1
  --every N           print one score of N, and every anomaly: 1
  --steps N           rows of a window: as trained
  --format FORMAT     csv, or raw: float32, little-endian, row after row
  --header WORD       recognised, present or absent: whether the first line names the columns
  --delimiter C       one character, or tab: recognised from the first line
  --columns NAMES     columns of the features, by name or by number from 1: those with the features' names, or in order
  --missing POLICY    of empty cells and NaN: reject, or forward-fill with the last value
  --on-bad-row WORD   stop; skip, as if it had not been there; or restart, the window begins anew behind it
  --no-header         print no line of names
  --isa NAME          instruction set: the best that this CPU runs
  --precision NAME    stored, float32, float16, bfloat16, int8
  --threads N         1

Examples:
  offbeat-edge score models/pump/3 < pump.csv > scores.csv
  read-sensors | offbeat-edge score models/pump --on-bad-row restart --every 600
  offbeat-edge score model.safetensors --steps 60 --format raw --outputs anomaly_score,feature_error < rows.f32
)";

inline constexpr char inspect_help[] = R"(offbeat-edge inspect MODEL [--isa NAME] [--precision NAME]

Prints what the model takes and gives, its threshold, and the instruction sets of this CPU. A folder's digests are checked.

Example:
  offbeat-edge inspect models/pump
)";

inline constexpr char verify_help[] = R"(offbeat-edge verify FOLDER [--isa NAME|all] [--precision NAME] [--threads N]

Checks the digests of all files, scores the golden windows, together and one by one, and compares with the outputs of the trained model. Each
line is an output's largest difference as a part of what is allowed: up to 1 is a pass. Exits 1 where one is beyond it.

Example:
  offbeat-edge verify models/pump/3 --isa all
)";

inline constexpr char bench_help[] = R"(offbeat-edge bench MODEL [--batch NUMBERS] [--seconds N] [--steps N] [--isa NAME] [--precision NAME] [--threads N]

Times calls that compute anomaly_score, for --batch 1,16,512 windows and --seconds 1 each, and prints JSON: the fastest call, median, 99th
percentile in microseconds, and windows per second at the median.

Example:
  offbeat-edge bench models/pump --batch 1,64
)";

}  // namespace offbeat::edge
