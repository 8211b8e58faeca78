/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where devices and sessions meet: what is opened. */
#include "param.h"
#include "policy.h"
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

struct veto_rows stream_rows(const struct veto_stream *s, const void *row, const uint32_t *token)
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

/* The slot of a head on the device, loaded if it is not. */
static int find_slot(struct veto_verifier *v, const struct veto_head *head, uint32_t *slot, char *why)
{
	int err;

	for (*slot = 0; *slot < VETO_HEADS_MAX; ++*slot)
		if (v->head[*slot] == head)
			return 0;
	err = veto_device_load(v->dev, head, slot, why);
	if (!err)
		v->head[*slot] = head;
	return err;
}

/* That the states are those that the head was made for. */
static int check_source(const struct veto_stream_info *info, const struct veto_head *head, char *why)
{
	const struct veto_head_info *h = veto_head_info(head);

	if (h->cols && info->tap && strcmp(info->tap, h->tap) != 0)
		return param_fail(-EINVAL, why, "the head %s reads the state %s, and this source gives %s", h->shape,
			h->tap, info->tap);
	if (info->backbone && strcmp(h->backbone, "any") != 0 && strcmp(info->backbone, h->backbone) != 0)
		return param_fail(-EINVAL, why, "the head %s is for the states of the model %s, and these are of %s",
			h->shape, h->backbone, info->backbone);
	if (head_reads_fields(head) >> VETO_TOPK_CONFIDENCE & 1 && !info->top_k)
		return param_fail(-EINVAL, why, "the head %s counts on topk_confidence: a top_k is needed", h->shape);
	return 0;
}

static int open_heads(struct veto_stream *s, char *why)
{
	const struct veto_stream_info *info = &s->info;
	int err = 0;

	if (info->head && veto_head_info(info->head)->kind != VETO_HEAD_DENSE)
		return param_fail(-EINVAL, why, "a table gives no rewards");
	if (info->table && veto_head_info(info->table)->kind != VETO_HEAD_SCH)
		return param_fail(-EINVAL, why, "a head that is no table gives no self-certainty");
	if (info->table && veto_head_info(info->table)->vocab != info->vocab)
		return param_fail(-EINVAL, why, "the table is of %u tokens, and the rows are of %u",
			veto_head_info(info->table)->vocab, info->vocab);
	if (info->head && !(err = check_source(info, info->head, why)) && head_reads_states(info->head))
		err = find_slot(s->verifier, info->head, &s->head, why);
	if (!err && info->table && !(err = check_source(info, info->table, why)))
		err = find_slot(s->verifier, info->table, &s->table, why);
	return err;
}

/* A job without rows shows whether the device takes such rows at all. */
static int check_rows(struct veto_stream *s, char *why)
{
	struct veto_rows rows = stream_rows(s, NULL, NULL);
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

/* The scores that rows of the stream have. */
static uint32_t fields_of(const struct veto_stream_info *info)
{
	return ~((info->top_k ? 0 : 1u << VETO_TOPK_CONFIDENCE) | (info->head ? 0 : 1u << VETO_REWARD) |
		 (info->subset_tokens ? 0 : 1u << VETO_SUBSET_FIRST | 1u << VETO_SUBSET_MASS) | 1u << VETO_SC_LOWER);
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
	s->follower = calloc(info->candidates + 1, sizeof(*s->follower));
	s->rule = calloc(info->rules + 1, sizeof(*s->rule));
	err = s->follower && s->rule ? check_rows(s, why) : param_fail(-ENOMEM, why, "out of memory");
	if (!err)
		err = open_heads(s, why);
	for (uint32_t i = 0; i < info->rules && !err; i++) {
		/* A score that no row has would leave its rule without effect. */
		err = param_check_fields(&info->rule[i], fields_of(info),
			"the rows of this stream come without that score (a reward needs a head)", why);
		if (!err && veto_rule_asks(&info->rule[i]) && !(info->is_asked && info->subset_tokens == 2))
			err = param_fail(
				-EINVAL, why, "%s: this source does not answer questions", info->rule[i].policy->name);
		s->rule[i] = info->rule[i];
	}
	s->info.rule = s->rule;
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

int verifier_reap(struct veto_verifier *v, int64_t timeout_ns)
{
	struct veto_done done;
	struct pending *p;
	int err;

	err = veto_device_reap(v->dev, timeout_ns, &done);
	if (err)
		return err;
	p = (struct pending *)(uintptr_t)(done.tag & ~(uint64_t)OF_STATE);
	p->stream->unscored--;
	p->stream->counts.device_ns += done.device_ns;
	p->stream->counts.failed_rows += done.status != 0 && !(done.tag & OF_STATE);
	return 0;
}

static void free_list(struct pending *p)
{
	for (struct pending *next; p; p = next) {
		next = p->next;
		free(p);
	}
}

void veto_stream_close(struct veto_stream *s)
{
	if (!s)
		return;
	while (s->unscored > 0 && verifier_reap(s->verifier, -1) == 0)
		;
	free_list(s->first);
	free_list(s->idle);
	veto_session_free(s->session);
	free(s->follower);
	free(s->rule);
	free(s);
}
