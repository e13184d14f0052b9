package deploy

// price is one list price of AWS in us-east-1, in dollars without tax. Prices of
// other regions are often higher.
type price struct {
	usd    float64
	per    string
	source string
	date   string // when the source was read or written, YYYY-MM
}

// The prices that the estimate is made of.
var prices = map[string]price{
	"http-api":     {1.00e-6, "request of the HTTP API", "aws.amazon.com/api-gateway/pricing", "2026-07"},
	"lambda":       {0.20e-6, "call of a function beyond 1 M", "aws.amazon.com/lambda/pricing", "2026-09"},
	"lambda-arm64": {0.0000133334, "GB-second, arm64, beyond 400 k", "aws.amazon.com/lambda/pricing", "2026-09"},
	"lambda-x86":   {0.0000166667, "GB-second, x86_64, beyond 400 k", "aws.amazon.com/lambda/pricing", "2026-09"},
	"lambda-tmp":   {0.0000000309, "GB-second of /tmp beyond 512 MB", "aws.amazon.com/lambda/pricing", "2026-09"},
	"s3-gb":        {0.023, "GB-month in S3 Standard", "aws.amazon.com/s3/pricing", "2026-07"},
	"s3-put":       {5e-6, "PUT or LIST of S3", "aws.amazon.com/s3/pricing", "2026-07"},
	"s3-get":       {0.4e-6, "GET of S3", "aws.amazon.com/s3/pricing", "2026-07"},
	"sns":          {0.50e-6, "publication beyond 1 M", "aws.amazon.com/sns/pricing", "2026-07"},
	"sqs":          {0.40e-6, "request of a queue beyond 1 M", "aws.amazon.com/sqs/pricing", "2026-03"},
	"scheduler":    {1.00e-6, "firing of a schedule beyond 14 M", "aws.amazon.com/eventbridge/pricing", "2025-01"},
	"kms-key":      {1.00, "key and month", "aws.amazon.com/kms/pricing", "2026-07"},
	"kms":          {3e-6, "use of a key beyond 20 k", "aws.amazon.com/kms/pricing", "2026-07"},
	"logs":         {0.50, "GB of logs beyond 5", "aws.amazon.com/cloudwatch/pricing", "2026-02"},
	"metric":       {0.30, "metric of our own beyond 10", "aws.amazon.com/cloudwatch/pricing", "2026-02"},
	"alarm":        {0.10, "alarm beyond 10", "aws.amazon.com/cloudwatch/pricing", "2026-02"},
	"dashboard":    {3.00, "dashboard beyond 3", "aws.amazon.com/cloudwatch/pricing", "2026-02"},
	"gp3":          {0.122, "GB-month of a node's disk, gp3", "aws.amazon.com/opensearch-service/pricing", "2026-07"},
}

// nodes are dollars an hour of a node of OpenSearch Service. Source:
// aws.amazon.com/opensearch-service/pricing, us-east-1, 2026-07.
var nodes = map[string]float64{
	"t3.small.search":   0.036,
	"t3.medium.search":  0.073,
	"m7g.medium.search": 0.068,
	"or1.medium.search": 0.105,
}

// hours are of an average month.
const hours = 730

// What each month gives away, for ever.
const (
	freeCalls     = 1e6
	freeGBs       = 400e3
	freeMessages  = 1e6 // of SNS and of SQS each
	freeFirings   = 14e6
	freeKeyUses   = 20e3
	freeLogGB     = 5
	freeMetrics   = 10
	freeAlarms    = 10
	freeDashboard = 3
)

// What the model takes for granted. Sizes of what is stored were measured
// (docs/benchmarks.md); the shares are estimates on the careful side.
const (
	days            = 30.4                   // of an average month
	querySeconds    = 0.025                  // of the api function for a look-up
	runSeconds      = 5                      // of the ingest function for a run
	tickSeconds     = 1                      // of the scheduler and health functions
	readShare       = 0.1                    // of look-ups that read an object; the rest is answered from memory and /tmp
	putsPerRun      = 3.5                    // an unchanged feed writes ledger and state; a changed one raw, segment and head, too; half and half
	getsPerRun      = 6                      // state, head, definitions, settings, the segment before
	listsPerMonth   = 8760                   // the api function looks for changes each 5 minutes while it is asked
	daysOfListings  = 8                      // what is listed at a time, in days of new values
	bytesPerListing = 240                    // of segments and what belongs to them
	copies          = 3                      // of segments: what was replaced stays for days
	rawBytes        = 30                     // of a compressed download, for each value
	rawDays         = 90                     // for which downloads are kept
	logBytes        = 850                    // of a look-up: the access log and what Lambda writes
	pollsPerMonth   = 5 * 3 * 60 * 24 * days // five readers wait 20 s each for the queue
	healthMetrics   = 7                      // that the health function writes
	indexMetrics    = 2                      // that it writes where a cluster is the index, too
	messagesPerRun  = 3                      // of the queue: sent, received, deleted
)
