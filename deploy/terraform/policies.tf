# What each function may do: the calls that its code makes, and no others; and what Lambda does by its role (the queue
# that it polls for ingest, the dead letters of events that failed). Logs and the own key are in modules/function.
locals {
  objects = {
    # what a feed's run and the engine write; not feeds.d/ and keys.json, which belong to people
    written = [for p in ["heads/*", "segments/*", "runs/*", "state/*", "raw/*", "unfinished/*", "settings/*", "store.json"] : "${local.arn.bucket}/${p}"]
    read    = [for p in ["heads/*", "segments/*", "runs/*", "state/*", "settings/*", "feeds.d/*", "store.json", "keys.json"] : "${local.arn.bucket}/${p}"]
  }

  list_bucket = { sid = "List", actions = ["s3:ListBucket"], resources = [local.arn.bucket] }
  publish     = { sid = "Publish", actions = ["sns:Publish"], resources = [local.arn.jobs] }
  secret      = { sid = "Secrets", actions = ["ssm:GetParameter"], resources = [local.arn.secrets] }
  own_dlq     = { sid = "DeadLetters", actions = ["sqs:SendMessage"], resources = [local.arn.events_dlq] }

  search_actions = {
    scheduler = []
    ingest    = ["es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPost", "es:ESHttpPut", "es:ESHttpDelete"]
    api       = ["es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPost", "es:ESHttpDelete"]
    health    = []
  }

  aws_statements = {
    scheduler = [
      local.list_bucket,
      { sid = "Read", actions = ["s3:GetObject"], resources = local.objects.read },
      local.publish,
      local.secret, # to know whether a feed that wants a key has one
      local.own_dlq,
    ]
    ingest = [
      local.list_bucket,
      { sid = "Read", actions = ["s3:GetObject"], resources = concat(local.objects.written, ["${local.arn.bucket}/feeds.d/*"]) },
      { sid = "Write", actions = ["s3:PutObject", "s3:DeleteObject"], resources = local.objects.written },
      { sid = "Queue", actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], resources = [local.arn.queue] },
      local.publish, # the next part of a run that takes longer than the function may
      local.secret,
    ]
    api = [
      local.list_bucket,
      { sid = "Read", actions = ["s3:GetObject"], resources = local.objects.read },
      local.publish, # a run that somebody asks for
      local.secret,
    ]
    health = concat([
      local.list_bucket,
      { sid = "Read", actions = ["s3:GetObject"], resources = local.objects.read },
      local.secret,
      local.own_dlq,
      ], contains(keys(var.environment), "EI_ALERT_WEBHOOK") ? [ # who was told what
      { sid = "Alerts", actions = ["s3:PutObject"], resources = ["${local.arn.bucket}/settings/alerts.json"] },
    ] : [])
  }

  statements = { for f in local.functions : f => concat(local.aws_statements[f],
    local.standard && length(local.search_actions[f]) > 0 ? [{ sid = "Search", actions = local.search_actions[f], resources = ["${local.arn.domain}/*"] }] : []
  ) }
}
