package aws

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// Topic is a topic of SNS that messages are published to. Safe for concurrent use.
type Topic struct {
	arn    string
	client *sns.Client
}

// OpenTopic makes ready to publish; nothing is sent yet. Errors: what is wrong with
// the ARN, or with the settings of the AWS SDK.
func OpenTopic(ctx context.Context, arn string) (*Topic, error) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" || parts[3] == "" {
		return nil, fmt.Errorf("aws: %q is not the ARN of a topic: want arn:aws:sns:REGION:ACCOUNT:NAME", arn)
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(parts[3]))
	if err != nil {
		return nil, explain(err)
	}
	return &Topic{arn: arn, client: sns.NewFromConfig(cfg)}, nil
}

// Publish sends at most ten messages in one request. It returns an error for each,
// nil for those that were taken; the second error says that none was. What fails in
// the network or is throttled is repeated inside, so a message may arrive twice.
func (t *Topic) Publish(ctx context.Context, messages []string) ([]error, error) {
	in := &sns.PublishBatchInput{TopicArn: &t.arn}
	for i, m := range messages {
		in.PublishBatchRequestEntries = append(in.PublishBatchRequestEntries, types.PublishBatchRequestEntry{Id: sdk.String(strconv.Itoa(i)), Message: sdk.String(m)})
	}
	out, err := t.client.PublishBatch(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("aws: publish to %s: %w", t.arn, err)
	}
	each := make([]error, len(messages))
	for i := range each {
		each[i] = fmt.Errorf("aws: publish to %s: the answer does not say whether the message was taken", t.arn)
	}
	for _, ok := range out.Successful {
		if i, err := strconv.Atoi(sdk.ToString(ok.Id)); err == nil && i >= 0 && i < len(each) {
			each[i] = nil
		}
	}
	for _, f := range out.Failed {
		if i, err := strconv.Atoi(sdk.ToString(f.Id)); err == nil && i >= 0 && i < len(each) {
			each[i] = fmt.Errorf("aws: publish to %s: %s: %s", t.arn, sdk.ToString(f.Code), sdk.ToString(f.Message))
		}
	}
	return each, nil
}
