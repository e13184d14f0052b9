package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/notify"
)

func (s *settings) openBucket(ctx context.Context) (blob.Store, error) {
	return nil, errors.New("later")
}

// openSecrets returns what finds secrets: the variables EI_SECRET_NAME, then the
// parameters that EI_SECRETS names.
func (s *settings) openSecrets(ctx context.Context) (func(string) (string, bool), error) {
	return func(name string) (string, bool) {
		v, ok := s.Secrets[name]
		return v.Reveal(), ok
	}, nil
}

// topic publishes jobs to a topic of SNS.
type topic struct{ *aws.Topic }

// Publish implements awslambda.Publisher.
func (t topic) Publish(ctx context.Context, jobs []awslambda.Job) ([]error, error) {
	texts := make([]string, len(jobs))
	for i, j := range jobs {
		b, err := json.Marshal(j)
		if err != nil {
			return nil, err
		}
		texts[i] = string(b)
	}
	return t.Topic.Publish(ctx, texts)
}

func (s *settings) openTopic(ctx context.Context) (awslambda.Publisher, error) {
	t, err := aws.OpenTopic(ctx, s.topic)
	return topic{t}, err
}

// Limits of one message to a webhook, as for a server.
const (
	alertTimeout = 20 * time.Second
	alertAnswer  = 64 << 10
)

// receivers are the webhooks of EI_ALERT_WEBHOOK.
func (p *parts) receivers() ([]app.Receiver, error) {
	var key notify.Key
	if text, ok := p.secret("alert_webhook"); ok && len(p.AlertWebhooks) > 0 {
		var err error
		if key, err = notify.ParseKey(text); err != nil {
			return nil, fmt.Errorf("the secret alert_webhook: %w", err)
		}
	}
	client := fetch.New(fetch.Options{UserAgent: fetch.UserAgent(version), TempDir: p.cache, Now: p.now, Log: p.log,
		MaxBytes: alertAnswer, Timeout: alertTimeout, Retries: 1, MaxRedirects: -1})
	var out []app.Receiver
	for i, u := range p.AlertWebhooks {
		w, err := notify.NewWebhook(u.Reveal(), key, p.AlertNetworks, client, p.now)
		if err != nil {
			return nil, fmt.Errorf("EI_ALERT_WEBHOOK, number %d: %w", i+1, err)
		}
		out = append(out, w)
	}
	return out, nil
}
