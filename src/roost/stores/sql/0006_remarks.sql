-- What a screen shows between messages: notes, and what people allowed.
CREATE INDEX events_remarks ON events (log, seq)
WHERE kind IN (
  'AnswerDropped', 'Authorized', 'BudgetRaised', 'CallChanged', 'CompactionEnded', 'CompactionStarted',
  'FellBack', 'HandedOver', 'HookBlocked', 'HookEnded', 'LimitHit', 'LimitRaised', 'LimitResumeFailed',
  'LimitResumed', 'LineSkipped', 'ModelChosen', 'PlanSet', 'PolicySet', 'RoundResult', 'RunEnded', 'RunStarted',
  'StatusShown', 'StderrAdded', 'TurnEnded', 'TurnResumed', 'UserNoted', 'WaitAnswered', 'WaitOpened', 'Warned',
  'WorktreeLeft', 'WorktreeMade'
);
