"""What stands between the messages of a conversation and is none: notes of what happened, and what people allowed."""

from roost.core import events as e

REMARKS = (
    e.AnswerDropped,
    e.Authorized,
    e.BudgetRaised,
    e.CallChanged,
    e.CompactionEnded,
    e.CompactionStarted,
    e.FellBack,
    e.HandedOver,
    e.HookBlocked,
    e.HookEnded,
    e.LimitHit,
    e.LimitRaised,
    e.LimitResumeFailed,
    e.LimitResumed,
    e.LineSkipped,
    e.ModelChosen,
    e.PlanSet,
    e.PolicySet,
    e.RoundResult,
    e.RunEnded,
    e.RunStarted,
    e.StatusShown,
    e.StderrAdded,
    e.TurnEnded,
    e.TurnResumed,
    e.UserNoted,
    e.WaitAnswered,
    e.WaitOpened,
    e.Warned,
    e.WorktreeLeft,
    e.WorktreeMade,
)
"""The facts that a screen shows between messages; summaries and errors bear messages, and come with those."""
