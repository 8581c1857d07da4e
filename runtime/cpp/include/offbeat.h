/* The C interface: everything that offbeat/session.h and offbeat/window_buffer.h do, for other languages.
 *
 * Nothing here throws, prints or ends the program. Handles are made by *_load and *_new and given back by *_free, which
 * takes NULL. A message is written into the caller's buffer, cut to its size and ended by a zero byte; both may be
 * 0. Structs begin with their own size, `sizeof` as the caller compiled it: fields that come with later versions are
 * then known to be missing. Initialise them with the macros below.
 */
#ifndef OFFBEAT_H
#define OFFBEAT_H

#include <stdbool.h>
#include <stddef.h>

#include "offbeat/export.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct offbeat_session offbeat_session;
typedef struct offbeat_workspace offbeat_workspace;
typedef struct offbeat_window_buffer offbeat_window_buffer;

/* The first five are those of offbeat::Status, in its order. Unless it is OFFBEAT_OK nothing was written. */
typedef enum offbeat_status {
  OFFBEAT_OK = 0,
  OFFBEAT_WRONG_TIME = 1,          /* a number of steps that this model does not score */
  OFFBEAT_MISSING_OUTPUT = 2,      /* an output was asked for that this model does not have */
  OFFBEAT_WORKSPACE_TOO_SMALL = 3, /* the workspace was made for fewer steps, or for another session */
  OFFBEAT_NOT_FINITE = 4,          /* a window holds NaN or infinity: it is not scored, and nothing may be concluded */
  OFFBEAT_INVALID_ARGUMENT = 5,    /* a pointer is NULL, or a struct's size or a number is out of range */
  OFFBEAT_FAILED = 6               /* the file, the instruction set or memory: the message says which */
} offbeat_status;

typedef enum offbeat_precision {
  OFFBEAT_STORED = 0, /* what the file holds */
  OFFBEAT_FLOAT32 = 1,
  OFFBEAT_FLOAT16 = 2,
  OFFBEAT_BFLOAT16 = 3,
  OFFBEAT_INT8 = 4
} offbeat_precision;

typedef struct offbeat_options {
  size_t struct_size;
  const char *isa; /* "baseline", "avx2", "avx512", "neon"; NULL or "" takes the best that this CPU has */
  offbeat_precision precision;
  size_t n_threads; /* threads that split a large batch, the caller's included */
} offbeat_options;

#define OFFBEAT_OPTIONS_INIT {sizeof(offbeat_options), NULL, OFFBEAT_STORED, 1}

typedef struct offbeat_shape {
  size_t struct_size;
  size_t n_features;
  size_t n_steps;   /* where the number of steps is fixed, else 0 */
  size_t n_classes; /* 0 without a classifier */
  bool has_time;    /* false: a row of a table, whose windows have time 1 */
  bool is_time_dynamic;
  bool has_error_std;
  bool has_forecast;
  float threshold;
} offbeat_shape;

#define OFFBEAT_SHAPE_INIT {sizeof(offbeat_shape), 0, 0, 0, false, false, false, false, 0.0f}

/* Where outputs go, row-major, as docs/format.md names them; NULL is not wanted, and costs nothing. */
typedef struct offbeat_outputs {
  size_t struct_size;
  float *reconstruction_error; /* [n] */
  float *anomaly_score;        /* [n] */
  bool *is_anomaly;            /* [n] */
  float *feature_error;        /* [n, feature] */
  float *step_error;           /* [n, step], step being offbeat_n_output_steps */
  float *reconstruction;       /* [n, step, feature] or [n, feature], raw units */
  float *error_std;            /* [n] */
  float *class_probability;    /* [n, class] */
  float *forecast;             /* [n, time, feature], raw units */
} offbeat_outputs;

#define OFFBEAT_OUTPUTS_INIT {sizeof(offbeat_outputs), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}

/* "major.minor.patch" of the library that runs. */
OFFBEAT_API const char *offbeat_version(void);

/* The status as one sentence. */
OFFBEAT_API const char *offbeat_status_text(offbeat_status status);

/* Loads model.safetensors and validates everything in it. `options` may be NULL. */
OFFBEAT_API offbeat_status offbeat_session_load(const char *path, const offbeat_options *options, offbeat_session **session, char *message,
                                                size_t message_size);

/* The same from the file's content in memory, which is not needed afterwards. */
OFFBEAT_API offbeat_status offbeat_session_load_memory(const void *content, size_t content_size, const offbeat_options *options,
                                                       offbeat_session **session, char *message, size_t message_size);

/* Gives a session back. Its workspaces and window buffers must not be used any more, only freed. */
OFFBEAT_API void offbeat_session_free(offbeat_session *session);

/* What the model gives and takes, for whoever allocates. */
OFFBEAT_API offbeat_status offbeat_session_shape(const offbeat_session *session, offbeat_shape *shape);

/* Steps of `reconstruction` and `step_error` for windows of `time` steps. */
OFFBEAT_API size_t offbeat_n_output_steps(const offbeat_session *session, size_t time);

/* Instruction set that the session computes with: a name, valid as long as the session. */
OFFBEAT_API const char *offbeat_session_isa(const offbeat_session *session);

/* Scratch memory of one thread, for windows of up to `max_time` steps. */
OFFBEAT_API offbeat_status offbeat_workspace_new(const offbeat_session *session, size_t max_time, offbeat_workspace **workspace, char *message,
                                                 size_t message_size);
OFFBEAT_API void offbeat_workspace_free(offbeat_workspace *workspace);

/* Scores `n` windows [n, time, feature] in raw units. Any number of threads at once, each with a workspace of its own.
 * Allocates nothing. Finite values so large that float32 overflows give an infinite error, score 1 and is_anomaly: errors, shares
 * and spread are never NaN. A reconstruction, a forecast or a probability that the overflow reached may be. */
OFFBEAT_API offbeat_status offbeat_score(const offbeat_session *session, const float *windows, size_t n, size_t time,
                                         const offbeat_outputs *outputs, offbeat_workspace *workspace);

/* The newest `n_steps` rows of a stream (0: as many as the model fixes), one score every `stride` rows. */
OFFBEAT_API offbeat_status offbeat_window_buffer_new(const offbeat_session *session, size_t n_steps, size_t stride,
                                                     offbeat_window_buffer **buffer, char *message, size_t message_size);
OFFBEAT_API void offbeat_window_buffer_free(offbeat_window_buffer *buffer);

/* Adds one row [feature]. `is_scored` says whether a window was due and scored, whose outputs were then written. */
OFFBEAT_API offbeat_status offbeat_window_buffer_push(offbeat_window_buffer *buffer, const float *row, const offbeat_outputs *outputs,
                                                      bool *is_scored);

/* Forgets all rows. */
OFFBEAT_API void offbeat_window_buffer_clear(offbeat_window_buffer *buffer);

#ifdef __cplusplus
}
#endif

#endif
