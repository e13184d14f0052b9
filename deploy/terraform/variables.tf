variable "prefix" {
  type        = string
  default     = "elasticintel"
  description = "The name of this installation: every resource's name begins with it."
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.prefix)) && !startswith(var.prefix, "aws") && !strcontains(var.prefix, "--")
    error_message = "The prefix has 3 to 20 of a-z, 0-9 and single -, begins with a letter, ends with a letter or digit, and does not begin with \"aws\" (Parameter Store refuses that)."
  }
}

variable "profile" {
  type        = string
  default     = "lite"
  description = "lite: no cluster, the api function reads the corpus from the bucket. standard: an OpenSearch domain is the index."
  validation {
    condition     = contains(["lite", "standard"], var.profile)
    error_message = "The profile is lite or standard."
  }
}

variable "zip" {
  type        = string
  description = "Path of the zip with the bootstrap of all functions, made for var.architecture."
  validation {
    condition     = endswith(var.zip, ".zip") && fileexists(var.zip)
    error_message = "No zip file is there: elasticintel deploy makes it, or put bootstrap (cmd/lambda) into a zip and give its path."
  }
}

variable "architecture" {
  type        = string
  default     = "arm64"
  description = "Of the functions: arm64 (a fifth cheaper) or x86_64."
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "The architecture is arm64 or x86_64."
  }
}

variable "kms_key" {
  type        = string
  default     = "aws"
  description = "aws: the keys that AWS manages, without a price of their own. own: a key of this installation, $1 a month, with a policy and a yearly rotation."
  validation {
    condition     = contains(["aws", "own"], var.kms_key)
    error_message = "The key is aws or own."
  }
}

variable "schedule" {
  type        = string
  default     = "cron(0 * * * ? *)"
  description = "When the scheduler function looks for feeds that are due, as EventBridge Scheduler writes it, in UTC."
  validation {
    condition     = can(regex("^(rate\\([1-9][0-9]* (minute|minutes|hour|hours|day|days)\\)|cron\\([^()]+\\))$", var.schedule))
    error_message = "The schedule is rate(1 hour) or cron(0 * * * ? *)."
  }
}

variable "health_schedule" {
  type        = string
  default     = "rate(15 minutes)"
  description = "When the health function writes the states of the feeds as metrics."
  validation {
    condition     = can(regex("^(rate\\([1-9][0-9]* (minute|minutes|hour|hours|day|days)\\)|cron\\([^()]+\\))$", var.health_schedule))
    error_message = "The schedule is rate(15 minutes) or cron(5 * * * ? *)."
  }
}

variable "enabled" {
  type        = bool
  default     = true
  nullable    = false
  description = "false: no schedule fires; look-ups are answered all the same."
}

variable "memory" {
  type = object({
    scheduler = optional(number, 256)
    ingest    = optional(number, 1024)
    api       = optional(number, 512)
    health    = optional(number, 256)
  })
  default     = {}
  nullable    = false
  description = "Of each function, in MB; 1769 MB are one processor."
  validation {
    condition     = alltrue([for m in values(var.memory) : m >= 128 && m <= 10240 && floor(m) == m])
    error_message = "Memory is a whole number of MB from 128 to 10240."
  }
}

variable "ingest_timeout" {
  type        = number
  default     = 600
  description = "Seconds that one run of a feed may take; what it leaves is handed over to a next one."
  validation {
    condition     = var.ingest_timeout >= 60 && var.ingest_timeout <= 900 && floor(var.ingest_timeout) == var.ingest_timeout
    error_message = "The time is a whole number of seconds from 60 to 900, the most that Lambda gives."
  }
}

variable "ingest_concurrency" {
  type        = number
  default     = 2
  description = "How many feeds run at the same time."
  validation {
    condition     = var.ingest_concurrency >= 2 && var.ingest_concurrency <= 100 && floor(var.ingest_concurrency) == var.ingest_concurrency
    error_message = "A whole number from 2, the least that Lambda takes, to 100."
  }
}

variable "tmp_mb" {
  type        = number
  default     = 2048
  description = "Size of /tmp of the ingest and api functions, in MB: downloads and the cache of segments."
  validation {
    condition     = var.tmp_mb >= 512 && var.tmp_mb <= 10240 && floor(var.tmp_mb) == var.tmp_mb
    error_message = "The size is a whole number of MB from 512 to 10240."
  }
}

variable "api_rate" {
  type        = number
  default     = 500
  description = "Requests a second that the HTTP API lets through; above that it answers 429."
  validation {
    condition     = var.api_rate >= 1 && var.api_rate <= 10000
    error_message = "The rate is from 1 to 10000 a second."
  }
}

variable "api_burst" {
  type        = number
  default     = 1000
  description = "Requests at once that the HTTP API lets through."
  validation {
    condition     = var.api_burst >= 1 && var.api_burst <= 5000 && floor(var.api_burst) == var.api_burst
    error_message = "The burst is a whole number from 1 to 5000."
  }
}

variable "api_concurrency" {
  type        = number
  default     = -1
  description = "The most api functions at the same time, taken from the account's; -1: no limit of its own."
  validation {
    condition     = var.api_concurrency == -1 || (var.api_concurrency >= 1 && var.api_concurrency <= 1000 && floor(var.api_concurrency) == var.api_concurrency)
    error_message = "-1 or a whole number from 1 to 1000."
  }
}

variable "function_url" {
  type        = bool
  default     = false
  nullable    = false
  description = "true: the api function gets an address of its own, too. It costs nothing per request, but nothing throttles it but api_concurrency. With a provider older than 6.29 one permission is missing (README)."
}

variable "environment" {
  type        = map(string)
  default     = {}
  nullable    = false
  description = "More EI_ variables for all functions, such as EI_LOG_LEVEL. No secrets: those belong into Parameter Store."
  validation {
    condition = alltrue([for k in keys(var.environment) : can(regex("^EI_[A-Z0-9_]+$", k)) && !startswith(k, "EI_SECRET") &&
    !contains(["EI_FUNCTION", "EI_DATA", "EI_JOBS_TOPIC", "EI_ENGINE", "EI_OPENSEARCH_URL", "EI_OPENSEARCH_AUTH", "EI_METRICS", "EI_SECRETS", "EI_KEEP_RAW"], k)])
    error_message = "Names begin with EI_ and have capitals, digits and _; secrets (EI_SECRET…) and what the installation itself sets are refused."
  }
}

variable "secrets" {
  type        = set(string)
  default     = []
  nullable    = false
  description = "Names of secrets (abuse_ch, otx …) to make as SecureString parameters below /PREFIX/. Their values are set outside of Terraform and never come into its state."
  validation {
    condition     = alltrue([for s in var.secrets : can(regex("^[a-z][a-z0-9_-]{0,63}$", s))])
    error_message = "A secret's name has up to 64 of a-z, 0-9, _ and -, and begins with a letter."
  }
}

variable "raw_days" {
  type        = number
  default     = 90
  description = "Days for which the downloads of feeds (raw/) are kept; 0: for ever."
  validation {
    condition     = var.raw_days >= 0 && var.raw_days <= 36500 && floor(var.raw_days) == var.raw_days
    error_message = "A whole number of days, 0 for ever."
  }
}

variable "noncurrent_days" {
  type        = number
  default     = 7
  description = "Days for which the bucket keeps what was replaced or deleted."
  validation {
    condition     = var.noncurrent_days >= 1 && var.noncurrent_days <= 36500 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "A whole number of days from 1."
  }
}

variable "destroy_data" {
  type        = bool
  default     = false
  nullable    = false
  description = "true: destroying the installation deletes what is in the bucket. Must have been applied before the destroy."
}

variable "log_days" {
  type        = number
  default     = 30
  description = "Days for which logs are kept."
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "CloudWatch Logs takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "alert_emails" {
  type        = set(string)
  default     = []
  nullable    = false
  description = "Who gets a mail when an alarm rings or the budget runs out; each has to confirm once."
  validation {
    condition     = length(var.alert_emails) <= 10 && alltrue([for e in var.alert_emails : can(regex("^[^@ ,]+@[^@ ,]+\\.[^@ ,]+$", e))])
    error_message = "At most 10 mail addresses."
  }
}

variable "sick_feeds" {
  type        = number
  default     = 0
  description = "The alarm on feeds rings where more than this many are sick."
  validation {
    condition     = var.sick_feeds >= 0 && floor(var.sick_feeds) == var.sick_feeds
    error_message = "A whole number from 0."
  }
}

variable "budget_usd" {
  type        = number
  default     = null
  description = "Dollars a month of the budget; 0: none. By default 5 (lite) or 50 (standard). It counts the whole account where cost allocation by the tag app is not activated."
  validation {
    condition     = var.budget_usd == null ? true : var.budget_usd >= 0
    error_message = "The budget is not negative."
  }
}

variable "opensearch_version" {
  type        = string
  default     = "OpenSearch_2.19"
  description = "Version of the domain."
  validation {
    condition     = can(regex("^OpenSearch_(2\\.19|[3-9]\\.[0-9]+)$", var.opensearch_version))
    error_message = "OpenSearch_2.19 or newer, as OpenSearch_MAJOR.MINOR."
  }
}

variable "opensearch_instance" {
  type        = string
  default     = "t3.small.search"
  description = "Type of the domain's nodes."
  validation {
    condition     = can(regex("^[a-z0-9]+\\.[a-z0-9]+\\.search$", var.opensearch_instance))
    error_message = "A type such as t3.small.search or m7g.medium.search."
  }
}

variable "opensearch_nodes" {
  type        = number
  default     = 1
  description = "Number of the domain's nodes; several are spread over availability zones."
  validation {
    condition     = var.opensearch_nodes == 1 || (var.opensearch_nodes <= 80 && var.opensearch_nodes >= 2 && (var.opensearch_nodes % 2 == 0 || var.opensearch_nodes % 3 == 0))
    error_message = "1, or a multiple of 2 or 3 up to 80, so that every zone has as many."
  }
}

variable "opensearch_gb" {
  type        = number
  default     = 10
  description = "GB of disk (gp3) of each node."
  validation {
    condition     = var.opensearch_gb >= 10 && var.opensearch_gb <= 16384 && floor(var.opensearch_gb) == var.opensearch_gb
    error_message = "A whole number of GB from 10 to 16384."
  }
}

variable "opensearch_url" {
  type        = string
  default     = ""
  description = "Address under which the functions reach the domain, where that is not its own endpoint (a name of yours, a proxy)."
  validation {
    condition     = var.opensearch_url == "" || can(regex("^https?://[^/@ ]+$", var.opensearch_url))
    error_message = "https://HOST, without a user and without a path."
  }
}

variable "tags" {
  type        = map(string)
  default     = {}
  nullable    = false
  description = "More tags for every resource."
  validation {
    condition     = length(var.tags) <= 40 && alltrue([for k in keys(var.tags) : !startswith(lower(k), "aws:") && k != "app"])
    error_message = "At most 40 tags; aws: is Amazon's, app is set to the prefix."
  }
}
