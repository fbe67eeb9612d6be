// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "metrics/listener_internal.h"

/* A text has some 200 kB; ten clients that read slowly are more than a host has. */
#define TEXTS_MAX_BYTES (4u << 20)

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define PLAIN_TEXT   "text/plain; charset=utf-8"

/* One header for all: a request a connection, nothing is kept for who may not come again. Destroys
 * a response that it cannot complete. */
static struct MHD_Response *with_headers(struct MHD_Response *response, const char *type)
{
	if (!response)
		return NULL;
	if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) != MHD_YES ||
	    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") != MHD_YES ||
	    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") != MHD_YES) {
		MHD_destroy_response(response);
		return NULL;
	}
	return response;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
			      const char *text)
{
	struct MHD_Response *response = with_headers(
		MHD_create_response_from_buffer(strlen(text), (char *)text, MHD_RESPMEM_MUST_COPY),
		PLAIN_TEXT);
	enum MHD_Result queued;

	if (!response)
		return MHD_NO;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	queued = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return queued;
}

/* A text that is sent, until nobody needs it. */
struct text {
	struct listener *listener;
	size_t size;
	char *bytes;
};

static void free_text(void *ctx)
{
	struct text *text = ctx;

	text->listener->texts_bytes -= text->size;
	free(text->bytes);
	free(text);
}

/* NULL when memory is out. */
static struct text *render(struct listener *listener)
{
	struct text *text = calloc(1, sizeof(*text));
	FILE *out = text ? open_memstream(&text->bytes, &text->size) : NULL;
	struct metrics metrics;
	bool failed;

	if (!out) {
		free(text);
		return NULL;
	}
	failed = metrics__init(&metrics, listener->options.subjects_max) != 0;
	if (!failed) {
		listener->options.fill(listener->options.ctx, &metrics);
		metrics__write(&metrics, out);
		metrics__free(&metrics);
	}
	failed = failed || ferror(out);
	if (fclose(out) || failed) {
		free(text->bytes);
		free(text);
		return NULL;
	}
	text->listener = listener;
	listener->texts_bytes += text->size;
	return text;
}

static struct MHD_Response *make_metrics(struct listener *listener)
{
	struct text *text = render(listener);
	struct MHD_Response *response;

	if (!text)
		return NULL;
	response = MHD_create_response_from_buffer_with_free_callback_cls(text->size, text->bytes,
									  free_text, text);
	if (!response)
		free_text(text);
	return with_headers(response, CONTENT_TYPE);
}

static enum MHD_Result answer_metrics(struct listener *listener, struct MHD_Connection *connection)
{
	uint64_t now_ns = monotonic_ns();

	if (listener->metrics && now_ns - listener->rendered_ns >= LISTENER_FRESH_NS) {
		MHD_destroy_response(listener->metrics);
		listener->metrics = NULL;
	}
	if (!listener->metrics) {
		if (listener->texts_bytes > TEXTS_MAX_BYTES)
			return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				      "clients that read slowly hold too much\n");
		listener->metrics = make_metrics(listener);
		listener->rendered_ns = now_ns;
	}
	if (!listener->metrics)
		return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	return MHD_queue_response(connection, MHD_HTTP_OK, listener->metrics);
}

static enum MHD_Result answer_health(struct listener *listener, struct MHD_Connection *connection)
{
	const struct listener_options *options = &listener->options;

	if (options->healthy && !options->healthy(options->ctx))
		return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "passes are overdue\n");
	return answer(connection, MHD_HTTP_OK, "ok\n");
}

enum MHD_Result listener__answer(void *ctx, struct MHD_Connection *connection, const char *url,
				 const char *method, const char *version, const char *upload,
				 size_t *upload_size, void **request)
{
	struct listener *listener = ctx;

	/* MHD asks first when the headers are there, when no answer but a refusal may be given. */
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
	if (!*request) {
		*request = listener;
		return MHD_YES;
	}
	if (*upload_size)
		return MHD_NO;
	if (!strcmp(url, "/metrics"))
		return answer_metrics(listener, connection);
	if (!strcmp(url, "/-/healthy"))
		return answer_health(listener, connection);
	if (!strcmp(url, "/"))
		return answer(connection, MHD_HTTP_OK,
			      "memdrift watch " MEMDRIFT_VERSION "\n\n"
			      "/metrics    for Prometheus\n"
			      "/-/healthy  whether passes are made\n");
	return answer(connection, MHD_HTTP_NOT_FOUND, "not here; metrics are at /metrics\n");
}
