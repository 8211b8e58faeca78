/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where devices and sessions meet. */
#include "clock.h"
#include "param.h"
#include "veto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct veto_verifier {
	struct veto_device *dev;
};

/* An event of the round, with what the device writes about it. */
struct pending {
	struct veto_stream *stream;
	struct pending *next;
	struct veto_event event;
	uint32_t token;
};

struct veto_stream {
	struct veto_verifier *verifier;
	struct veto_session *session;
	struct veto_stream_info info;
	uint32_t subset[VETO_SUBSET_MAX];
	struct pending *first, **end, *idle;
	uint32_t unscored; /* of the round's rows, those still with the device */
	struct veto_score *last; /* [candidates] */
	bool *has_last; /* [candidates] */
	struct veto_stream_counts counts;
};

int veto_verifier_open(const char *uri, struct veto_verifier **out, char *why)
{
	struct veto_verifier *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return param_fail(-ENOMEM, why, "out of memory");
	err = veto_device_open(uri, &v->dev, why);
	if (err) {
		free(v);
		return err;
	}
	*out = v;
	return 0;
}

void veto_verifier_close(struct veto_verifier *v)
{
	if (!v)
		return;
	veto_device_close(v->dev);
	free(v);
}

const char *veto_verifier_trouble(const struct veto_verifier *v) { return veto_device_trouble(v->dev); }

const struct veto_device_info *veto_verifier_info(const struct veto_verifier *v) { return veto_device_info(v->dev); }

static struct veto_rows rows_of(const struct veto_stream *s, const void *row, const uint32_t *token)
{
	return (struct veto_rows){
		.format = s->info.format,
		.rows = row ? 1 : 0,
		.cols = s->info.vocab,
		.stride_bytes = s->info.vocab * veto_format_bytes(s->info.format),
		.data = row,
		.token = token,
		.subset = s->subset,
		.subset_tokens = s->info.subset_tokens,
		.top_k = s->info.top_k,
	};
}

/* A job without rows shows whether the device takes such rows at all. */
static int check_rows(struct veto_stream *s, char *why)
{
	struct veto_rows rows = rows_of(s, NULL, NULL);
	struct veto_results none = {0};
	int err = veto_device_score(s->verifier->dev, &rows, &none);

	if (err && err != -EBUSY)
		return param_fail(err, why,
			"%s can't score %s rows of %u logits (1 to %u) with top_k %u and a subset of %u",
			veto_device_info(s->verifier->dev)->uri,
			s->info.format < VETO_FORMATS ? veto_format_names[s->info.format] : "unknown", s->info.vocab,
			VETO_VOCAB_MAX, s->info.top_k, s->info.subset_tokens);
	return 0;
}

/* A score that no row of the stream has would leave its rule without effect. */
static int check_fields(const struct veto_stream_info *info, const struct veto_rule *rule, char *why)
{
	for (size_t i = 0; rule->policy->param[i].name; i++) {
		int64_t field = rule->values.value[i][0];
		bool has_subset = info->subset_tokens > 0;

		if (rule->policy->param[i].type != VETO_PARAM_FIELD)
			continue;
		if ((field == VETO_TOPK_CONFIDENCE && info->top_k == 0) ||
			((field == VETO_SUBSET_FIRST || field == VETO_SUBSET_MASS) && !has_subset))
			return param_fail(-EINVAL, why, "%s: %s=%s: the rows of this stream come without that score",
				rule->policy->name, rule->policy->param[i].name, veto_fields[field].name);
	}
	return 0;
}

int veto_stream_open(struct veto_verifier *v, const struct veto_stream_info *info, struct veto_stream **out, char *why)
{
	struct veto_stream *s;
	int err;

	if (info->subset_tokens > VETO_SUBSET_MAX || (info->subset_tokens > 0 && !info->subset))
		return param_fail(-EINVAL, why, "a subset of %u tokens%s: at most %d", info->subset_tokens,
			info->subset ? "" : " without ids", VETO_SUBSET_MAX);
	s = calloc(1, sizeof(*s));
	if (!s)
		return param_fail(-ENOMEM, why, "out of memory");
	s->verifier = v;
	s->info = *info;
	s->end = &s->first;
	if (info->subset_tokens)
		memcpy(s->subset, info->subset, info->subset_tokens * sizeof(*s->subset));
	s->last = calloc(info->candidates + 1, sizeof(*s->last));
	s->has_last = calloc(info->candidates + 1, sizeof(*s->has_last));
	err = s->last && s->has_last ? check_rows(s, why) : param_fail(-ENOMEM, why, "out of memory");
	for (uint32_t i = 0; i < info->rules && !err; i++)
		err = check_fields(info, &info->rule[i], why);
	if (!err)
		err = veto_session_new(
			info->rule, info->rules, info->candidates, info->cohort, info->max_tokens, &s->session, why);
	if (err) {
		veto_stream_close(s);
		return err;
	}
	*out = s;
	return 0;
}

static int reap(struct veto_verifier *v, int64_t timeout_ns)
{
	struct veto_done done;
	struct pending *p;
	int err;

	err = veto_device_reap(v->dev, timeout_ns, &done);
	if (err)
		return err;
	p = (struct pending *)(uintptr_t)done.tag;
	p->stream->unscored--;
	p->stream->counts.device_ns += done.device_ns;
	p->stream->counts.failed_rows += done.status != 0;
	return 0;
}

static void free_list(struct pending *p)
{
	while (p) {
		struct pending *next = p->next;

		free(p);
		p = next;
	}
}

void veto_stream_close(struct veto_stream *s)
{
	if (!s)
		return;
	while (s->unscored > 0 && reap(s->verifier, -1) == 0)
		;
	free_list(s->first);
	free_list(s->idle);
	veto_session_free(s->session);
	free(s->last);
	free(s->has_last);
	free(s);
}

static int submit(struct veto_stream *s, struct pending *p, const void *row)
{
	struct veto_rows rows = rows_of(s, row, &p->token);
	struct veto_results out = {.score = &p->event.score};
	struct veto_device *dev = s->verifier->dev;
	int err;

	err = veto_device_submit(dev, &rows, &out, (uintptr_t)p);
	while (err == -EAGAIN) {
		err = reap(s->verifier, -1);
		if (!err)
			err = veto_device_submit(dev, &rows, &out, (uintptr_t)p);
	}
	if (err)
		return err;
	s->unscored++;
	s->counts.rows++;
	return 0;
}

int veto_stream_push(struct veto_stream *s, const struct veto_event *event, const struct veto_payload *payload)
{
	struct pending *p = s->idle ? s->idle : malloc(sizeof(*p));
	int err = 0;

	if (!p)
		return -ENOMEM;
	if (p == s->idle)
		s->idle = p->next;
	*p = (struct pending){.stream = s, .event = *event, .token = VETO_NO_TOKEN};
	if (payload && payload->row) {
		p->token = payload->token;
		memset(&p->event.score, 0, sizeof(p->event.score)); /* and so it stays if the job fails */
		err = submit(s, p, payload->row);
	}
	if (err) {
		p->next = s->idle;
		s->idle = p;
		return err;
	}
	*s->end = p;
	s->end = &p->next;
	return 0;
}

/* Give the events to the session, in their order. */
static int fold(struct veto_stream *s)
{
	int err = 0;

	while (s->first) {
		struct pending *p = s->first;
		int refused = veto_session_push(s->session, &p->event);

		if (refused) {
			err = refused;
		} else if (p->event.kind == VETO_TOKEN) {
			s->last[p->event.candidate] = p->event.score;
			s->has_last[p->event.candidate] = true;
		}
		s->first = p->next;
		p->next = s->idle;
		s->idle = p;
	}
	s->end = &s->first;
	return err;
}

/* Reap until every row of the round is scored; once the time is over, only what has finished. */
static int reap_round(struct veto_stream *s, int64_t timeout_ns)
{
	uint64_t start = clock_ns();
	int64_t left = timeout_ns;
	int err = 0;

	while (s->unscored > 0 && !err) {
		err = reap(s->verifier, left);
		if (timeout_ns < 0)
			continue;
		left = timeout_ns - (int64_t)(clock_ns() - start);
		if (left <= 0 && s->unscored > 0 && !veto_device_has_finished(s->verifier->dev))
			return -EAGAIN;
		left = left > 0 ? left : 0;
	}
	return err;
}

int veto_stream_round(struct veto_stream *s, int64_t timeout_ns)
{
	int err = reap_round(s, timeout_ns);

	if (err)
		return err;
	err = fold(s);
	veto_session_round(s->session);
	return err;
}

bool veto_stream_next(struct veto_stream *s, struct veto_verdict *out) { return veto_session_next(s->session, out); }

const struct veto_score *veto_stream_score(const struct veto_stream *s, uint32_t candidate)
{
	return candidate < s->info.candidates && s->has_last[candidate] ? &s->last[candidate] : NULL;
}

struct veto_stream_counts veto_stream_counts(const struct veto_stream *s) { return s->counts; }

struct veto_session *veto_stream_session(struct veto_stream *s) { return s->session; }
