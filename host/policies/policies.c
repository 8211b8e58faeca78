/* SPDX-License-Identifier: Apache-2.0 */
/* The table of policies. */
#include "policy.h"

#define DEEPCONF "Deep Think with Confidence, arXiv 2508.15260"
#define EARLY_REJECTION "Early Rejection with Partial Reward Modeling, arXiv 2508.01969"
#define SPECULATIVE "Fast Best-of-N Decoding via Speculative Rejection, arXiv 2410.20290"
#define ADAPTIVE "Let's Sample Step by Step: Adaptive-Consistency, arXiv 2305.11860"
#define ESC "Escape Sky-high Cost: Early-stopping Self-Consistency, arXiv 2401.10480"
#define SELF_CONSISTENCY "Self-Consistency Improves Chain of Thought Reasoning, arXiv 2203.11171"
#define WEIGHTED "DeepConf, arXiv 2508.15260; softmax weights: CISC, arXiv 2502.06233"
#define SELF_TRUNCATION                                                                                                \
	"Self-Estimating the Best-of-N Sampling in Early Decoding (ST-BoN), arXiv 2503.01422, by tokens in place of hidden states"
#define MONITOR "CoT Monitor+; Self-J; SAFREE"
#define SELF_EVALUATION "Adaptive Inference-Time Compute, arXiv 2410.02725"
#define DETECT "Solve-Detect-Verify, arXiv 2505.11966"
#define CISC "Confidence Improves Self-Consistency in LLMs, arXiv 2502.06233"
#define SHARPENING "Self-Improvement in Language Models: The Sharpening Mechanism, arXiv 2412.01951"
#define SELF_CERTAINTY "Scalable Best-of-N Selection via Self-Certainty, arXiv 2502.18581"

/* clang-format off */
/* name, what it does, where it comes from, role, parameters, code: a line each */
const struct policy policies[] = {
	{{"floor", "reject when the mean of the last tokens falls below a threshold", DEEPCONF, VETO_REJECTS, floor_params}, &floor_ops},
	{{"window-floor", "floor with a threshold learned from warm-up candidates", DEEPCONF, VETO_REJECTS, window_floor_params}, &window_floor_ops},
	{{"gate", "keep the best of each cohort at given token counts", EARLY_REJECTION, VETO_REJECTS, gate_params}, &gate_ops},
	{{"speculative", "keep the best of each cohort when it exceeds a token budget", SPECULATIVE, VETO_REJECTS, speculative_params}, &speculative_ops},
	{{"partial-reward", "beam search: judge beams early in each step, and fork the best", EARLY_REJECTION, VETO_REJECTS, partial_reward_params}, &partial_reward_ops},
	{{"self-truncation", "keep the candidates whose beginnings share most tokens with the others'", SELF_TRUNCATION, VETO_REJECTS, self_truncation_params}, &self_truncation_ops},
	{{"monitor", "reject when a score rises above a limit", MONITOR, VETO_REJECTS, monitor_params}, &monitor_ops},
	{{"self-evaluate", "ask the model at given token counts, and reject what it calls wrong", SELF_EVALUATION, VETO_REJECTS, self_evaluate_params}, &self_evaluate_ops},
	{{"detect", "ask after hesitation words whether a candidate is done; settle on it, or reject it, by verdicts", DETECT, VETO_REJECTS, detect_params}, &detect_ops},
	{{"consensus", "settle when one answer holds most of the votes", DEEPCONF, VETO_STOPS, consensus_params}, &consensus_ops},
	{{"adaptive-consistency", "settle when the leading answer will hardly be overtaken", ADAPTIVE, VETO_STOPS, adaptive_consistency_params}, &adaptive_consistency_ops},
	{{"esc", "settle when a window of answers is unanimous", ESC, VETO_STOPS, esc_params}, &esc_ops},
	{{"majority", "the answer that most candidates give", SELF_CONSISTENCY, VETO_SELECTS, majority_params}, &majority_ops},
	{{"borda", "votes weighted by rank", SELF_CERTAINTY, VETO_SELECTS, borda_params}, &borda_ops},
	{{"best", "the answer of the candidate with the highest mean score", SELF_CERTAINTY, VETO_SELECTS, best_params}, &best_ops},
	{{"weighted", "votes weighted by score", WEIGHTED, VETO_SELECTS, weighted_params}, &weighted_ops},
	{{"cisc", "votes weighted by the softmax of the candidates' scores", CISC, VETO_SELECTS, cisc_params}, &cisc_ops},
	{{"sharpening", "the answer of the likeliest candidate (sum of logp)", SHARPENING, VETO_SELECTS, sharpening_params}, &sharpening_ops},
	{{0}, 0},
};
/* clang-format on */
