# What each function may do: the calls that its code makes, and no others; and what Lambda does by its role (the queue
# that it polls for ingest, the dead letters of events that failed). Logs and the own key are in modules/function.
locals {
  # objects by prefix; nobody writes feeds.d/ and keys.json, which belong to people
  objects = { for name, prefixes in {
    schedule = ["state/*", "settings/*", "feeds.d/*"]
    run      = ["heads/*", "segments/*", "runs/*", "state/*", "raw/*", "unfinished/*", "feeds.d/*", "store.json"]
    written  = ["heads/*", "segments/*", "runs/*", "state/*", "raw/*", "unfinished/*", "tables/*", "store.json"]
    replaced = ["segments/*", "unfinished/*", "tables/*"]
    answer   = ["heads/*", "segments/*", "runs/*", "state/*", "settings/*", "feeds.d/*", "enrichment/*", "tables/*", "store.json", "keys.json"]
    health   = ["heads/*", "state/*", "settings/*", "feeds.d/*"]
  } : name => [for p in prefixes : "${local.arn.bucket}/${p}"] }

  list_bucket = { sid = "List", actions = ["s3:ListBucket"], resources = [local.arn.bucket] }
  publish     = { sid = "Publish", actions = ["sns:Publish"], resources = [local.arn.jobs] }
  secret      = { sid = "Secrets", actions = ["ssm:GetParameter"], resources = [local.arn.secrets] }
  own_dlq     = { sid = "DeadLetters", actions = ["sqs:SendMessage"], resources = [local.arn.events_dlq] }

  search_actions = {
    scheduler = []
    ingest    = ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut", "es:ESHttpDelete"]
    api       = ["es:ESHttpPost", "es:ESHttpDelete"]                 # points in time are deleted
    health    = ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpDelete"] # which feeds the index is behind with
  }

  aws_statements = {
    scheduler = [
      local.list_bucket,
      { sid = "Read", actions = ["s3:GetObject"], resources = local.objects.schedule },
      local.publish,
      local.secret, # to know whether a feed that wants a key has one
      local.own_dlq,
    ]
    ingest = [
      local.list_bucket,
      { sid = "Read", actions = ["s3:GetObject"], resources = local.objects.run },
      { sid = "Write", actions = ["s3:PutObject"], resources = local.objects.written },
      { sid = "Sweep", actions = ["s3:DeleteObject"], resources = local.objects.replaced },
      { sid = "Queue", actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], resources = [local.arn.queue] },
      local.publish, # the next part of a run that takes longer than the function may
      local.secret,
    ]
    api = [
      local.list_bucket,
      { sid = "Read", actions = ["s3:GetObject"], resources = local.objects.answer },
      local.publish, # a run that somebody asks for
      local.secret,
    ]
    health = concat([
      local.list_bucket,
      { sid = "Read", actions = ["s3:GetObject"], resources = local.objects.health },
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
