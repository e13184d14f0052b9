package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/fetch"
	"github.com/elasticintel/elasticintel/internal/local"
	"github.com/elasticintel/elasticintel/internal/notify"
)

// alertSecret is the secret that messages to webhooks are signed with.
const alertSecret = "alert_webhook"

// alertFlags are the settings that receivers are made from.
func alertFlags() []string { return []string{"alert-webhook", "alert-allow-network", "alert-after"} }

// Limits of one message: a webhook has nothing to say, and must not hold others up.
const (
	alertTimeout = 20 * time.Second
	alertRetries = 2
	alertAnswer  = 64 << 10
	// alertRound is how long `ingest` waits for all receivers.
	alertRound = 45 * time.Second
)

// receivers are the webhooks of the configuration, each once. tmp is where
// answers are spooled.
func (p *program) receivers(secrets *local.Secrets, tmp string) ([]*notify.Webhook, error) {
	if len(p.cfg.AlertWebhooks) == 0 {
		return nil, nil
	}
	var key notify.Key
	if s, ok := secrets.Get(alertSecret); ok {
		var err error
		if key, err = notify.ParseKey(s); err != nil {
			return nil, configError(fmt.Errorf("%s: %w", local.SecretVar(alertSecret), err), "")
		}
	}
	client := fetch.New(fetch.Options{
		UserAgent: fetch.UserAgent(versionText()), TempDir: tmp, Now: p.now, Log: p.log,
		MaxBytes: alertAnswer, Timeout: alertTimeout, Retries: alertRetries, MaxRedirects: -1,
	})
	var hooks []*notify.Webhook
	seen := map[string]bool{}
	for i, u := range p.cfg.AlertWebhooks {
		w, err := notify.NewWebhook(u.Reveal(), key, p.cfg.AlertNetworks, client, p.now)
		if err != nil {
			return nil, configError(fmt.Errorf("--alert-webhook (EI_ALERT_WEBHOOK), number %d: %w", i+1, err), "Several are separated by blanks.")
		}
		if !seen[w.ID()] {
			hooks = append(hooks, w)
		}
		seen[w.ID()] = true
	}
	return hooks, nil
}

// asReceivers are webhooks as app knows them.
func asReceivers(hooks []*notify.Webhook) []app.Receiver {
	var out []app.Receiver
	for _, w := range hooks {
		out = append(out, w)
	}
	return out
}

// tellAlerts tells what changed by the runs of a command. What cannot be told now
// is told by the next one, or by a server.
func (p *program) tellAlerts(ctx context.Context, x *parts, hooks []*notify.Webhook) {
	ctx, cancel := context.WithTimeout(ctx, alertRound)
	defer cancel()
	quiet := func(string, ...any) {} // the error says it
	alerts := app.NewAlerts(app.AlertsConfig{Receivers: asReceivers(hooks), After: time.Duration(p.cfg.AlertAfter), Say: quiet}, x.feeds)
	if err := alerts.Round(ctx); err != nil {
		p.talk.problem("Alerts: %v", err)
	}
}

// checkAlerts checks what webhooks are told with; only with send it tells them
// something.
func (p *program) checkAlerts(ctx context.Context, send bool, add addFinding) {
	secrets := p.openSecrets()
	hooks, err := p.receivers(secrets, os.TempDir())
	switch {
	case err != nil:
		var f *failure
		errors.As(err, &f)
		add("alerts", levelFail, strings.ToLower(strings.TrimSuffix(f.hint, ".")), "%v", f.err)
		return
	case len(hooks) == 0:
		add("alerts", levelOK, "", "no webhook is told when feeds fall sick")
		return
	}
	_, signed := secrets.Get(alertSecret)
	for i, w := range hooks {
		add("alerts", levelOK, "", "%s is told after %s; messages are %s", w.ID(), p.cfg.AlertAfter, map[bool]string{true: "signed", false: "not signed"}[signed])
		if !send {
			continue
		}
		m := notify.Message{ID: fmt.Sprintf("msg_test_%d_%d", p.now().UnixMilli(), i), Type: notify.TypeTest, Reason: "somebody tries whether messages arrive: elasticintel doctor --send-test-alert", At: p.now()}
		if err := w.Send(ctx, m); err != nil {
			add("alerts", levelFail, "check the URL; --alert-allow-network NETWORK lets it be in a network that is not public", "%v", err)
		} else {
			add("alerts", levelOK, "", "%s took a test message", w.ID())
		}
	}
}
