package aws

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/elasticintel/elasticintel/internal/testing/awstest"
)

func TestOpenTopic_RefusesWhatIsNoTopic(t *testing.T) {
	for _, arn := range []string{"", "jobs", "arn:aws:sqs:us-east-1:111122223333:jobs", "arn:aws:sns::111122223333:jobs", "arn:aws:sns:us-east-1:111122223333:jobs:extra"} {
		if _, err := OpenTopic(t.Context(), arn); err == nil || !strings.Contains(err.Error(), "is not the ARN of a topic") {
			t.Errorf("%q: %v", arn, err)
		}
	}
}

func TestTopic_Publish(t *testing.T) {
	awstest.Ministack(t).Setenv(t)
	topic, err := OpenTopic(t.Context(), "arn:aws:sns:"+awstest.Region+":"+awstest.Account+":jobs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topic.Publish(t.Context(), []string{"early"}); err == nil || !strings.Contains(err.Error(), "aws: publish to arn:aws:sns:") {
		t.Errorf("a topic that there is not: %v", err)
	}
	name := "jobs"
	if _, err := topic.client.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &name}); err != nil {
		t.Fatal(err)
	}
	each, err := topic.Publish(t.Context(), []string{"one", "two", "three"})
	if err != nil || len(each) != 3 || each[0] != nil || each[1] != nil || each[2] != nil {
		t.Errorf("%v, %v", each, err)
	}
}
