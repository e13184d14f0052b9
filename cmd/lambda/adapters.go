package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/aws"
	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/notify"
)

// cacheShare of the room in a function's folder is for copies of segments; the rest
// is for downloads that are being unpacked, feed definitions and bulk requests.
const cacheShare = 0.75

// openBucket opens EI_DATA where it is a bucket. Segments are kept in a folder of
// their own in EI_CACHE, which a warm process and its successors on the same
// machine find again.
func (s *settings) openBucket(ctx context.Context) (blob.Store, error) {
	store, err := aws.NewStore(ctx, aws.StoreOptions{URL: s.Data})
	if err != nil {
		return nil, fmt.Errorf("EI_DATA: %w", err)
	}
	folder := filepath.Join(s.cache, "segments")
	size, err := s.cacheBytes(folder)
	if err != nil {
		return nil, fmt.Errorf("EI_CACHE: %w", err)
	}
	c, err := aws.NewCached(store, aws.CacheOptions{Folder: folder, Max: size, Now: s.now, Parts: s.function == awslambda.FunctionAPI})
	if err != nil {
		return nil, fmt.Errorf("EI_CACHE: %w", err)
	}
	return c, nil
}

// cacheBytes is how much copies of segments may take: EI_CACHE_MB, or most of what is
// free, or taken by copies already, when the process starts.
func (s *settings) cacheBytes(folder string) (int64, error) {
	if s.cacheMB > 0 {
		return int64(s.cacheMB) << 20, nil
	}
	free, err := local.FreeSpace(s.cache)
	return int64(cacheShare * float64(int64(free)+aws.Copies(folder))), err
}

// filler is a store that fetches in the background what it has mapped in parts.
type filler interface {
	Fill(ctx context.Context) error
}

// fill lets the store fetch the rest of what was opened. The process may be frozen
// meanwhile, and goes on with it at the next event; what a look-up wants before it is
// there the look-up fetches.
func (p *parts) fill(ctx context.Context) {
	f, ok := p.store.(filler)
	if !ok {
		return
	}
	go func() {
		text := ""
		if err := f.Fill(context.WithoutCancel(ctx)); err != nil {
			text = err.Error()
		}
		if was := p.unfilled.Swap(&text); text != "" && (was == nil || *was != text) {
			p.log.Warn("segments are not whole yet; look-ups fetch what they want of them", "error", text)
		}
	}()
}

// openSecrets returns what finds secrets: the variables EI_SECRET_NAME, then the
// parameters that EI_SECRETS names.
func (s *settings) openSecrets(ctx context.Context) (func(string) (string, bool), error) {
	variables := local.NewSecrets("", s.Secrets)
	if s.secrets == "" {
		return variables.Get, nil
	}
	parameters, err := aws.NewSecrets(ctx, aws.SecretOptions{URL: s.secrets, Check: local.CheckSecretName, Variable: variables.Get, Now: s.now,
		Failed: func(name string, err error) {
			s.log.Error("a secret cannot be had", "secret", name, "error", err)
		}})
	if err != nil {
		return nil, fmt.Errorf("EI_SECRETS: %w", err)
	}
	return parameters.Getter(ctx), nil
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
