/* Scores rows of a csv file from standard input, one score a row once the first window is full:
 *
 *   score model.safetensors 60 < rows.csv
 *
 * The second argument is the number of rows in a window, 0 where the model fixes it. The first line may be one of names; another that
 * holds no row ends the program.
 */
#include <offbeat.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_LINE = 65536 };

/* Reads n numbers between commas; false where there are fewer. */
static bool read_row(char *line, float *row, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    char *end = line;
    row[i] = strtof(line, &end);
    if (end == line) return false;
    line = *end == ',' ? end + 1 : end;
  }
  return true;
}

static int score_rows(offbeat_window_buffer *buffer, float *row, size_t n_features) {
  static char line[MAX_LINE];
  float error = 0, score = 0;
  bool is_anomaly = false;
  offbeat_outputs outputs = OFFBEAT_OUTPUTS_INIT;
  outputs.reconstruction_error = &error;
  outputs.anomaly_score = &score;
  outputs.is_anomaly = &is_anomaly;
  for (size_t n_lines = 1; fgets(line, sizeof line, stdin) != NULL; ++n_lines) {
    bool is_scored = false;
    if (!read_row(line, row, n_features)) {
      if (n_lines == 1) continue; /* a line of names */
      fprintf(stderr, "score: line %zu: expected %zu numbers between commas\n", n_lines, n_features);
      return EXIT_FAILURE;
    }
    const offbeat_status status = offbeat_window_buffer_push(buffer, row, &outputs, &is_scored);
    if (status != OFFBEAT_OK) fprintf(stderr, "score: %s\n", offbeat_status_text(status));
    if (is_scored) printf("%.9g,%.9g,%d\n", (double)error, (double)score, is_anomaly);
  }
  return EXIT_SUCCESS;
}

int main(int n_arguments, char **arguments) {
  char message[600];
  offbeat_session *session = NULL;
  offbeat_window_buffer *buffer = NULL;
  offbeat_shape shape = OFFBEAT_SHAPE_INIT;
  if (n_arguments != 3) {
    fprintf(stderr, "usage: score model.safetensors ROWS_IN_A_WINDOW < rows.csv\n");
    return 2;
  }
  const size_t n_steps = (size_t)strtoul(arguments[2], NULL, 10);
  int code = EXIT_FAILURE;
  if (offbeat_session_load(arguments[1], NULL, &session, message, sizeof message) != OFFBEAT_OK ||
      offbeat_window_buffer_new(session, n_steps, 1, &buffer, message, sizeof message) != OFFBEAT_OK) {
    fprintf(stderr, "score: %s\n", message);
  } else if (offbeat_session_shape(session, &shape) == OFFBEAT_OK) {
    float *row = calloc(shape.n_features, sizeof *row);
    if (row != NULL) code = score_rows(buffer, row, shape.n_features);
    free(row);
  }
  offbeat_window_buffer_free(buffer);
  offbeat_session_free(session);
  return code;
}
