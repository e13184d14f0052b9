package deploy

import (
	"context"
	"encoding/json"
	"fmt"
)

// Outputs are what deploy/terraform/outputs.tf says of an environment.
type Outputs struct {
	Prefix       string            `json:"prefix"`
	Profile      string            `json:"profile"`
	Region       string            `json:"region"`
	APIURL       string            `json:"api_url"`      // without a slash at the end
	FunctionURL  string            `json:"function_url"` // "" where there is none
	Bucket       string            `json:"bucket"`
	QueueURL     string            `json:"queue_url"`
	DLQURL       string            `json:"dlq_url"`
	EventsDLQURL string            `json:"events_dlq_url"`
	AlarmNames   []string          `json:"alarm_names"`
	LogGroups    map[string]string `json:"log_groups"` // by function; http is the access log
	SSMPrefix    string            `json:"ssm_prefix"` // /PREFIX/
	Dashboard    string            `json:"dashboard"`
}

// Outputs reads the outputs of an environment from its state, which needs no
// Terraform. fs.ErrNotExist where it is not deployed.
func (a *Account) Outputs(ctx context.Context, env string) (*Outputs, error) {
	b := a.State(env)
	data, err := a.Object(ctx, b.Bucket, b.Key)
	if err != nil {
		return nil, err
	}
	var state struct {
		Version int `json:"version"`
		Outputs map[string]struct {
			Value json.RawMessage `json:"value"`
		} `json:"outputs"`
	}
	if data == nil {
		return nil, a.notDeployed(env)
	}
	if err := json.Unmarshal(data, &state); err != nil || state.Version != 4 {
		return nil, fmt.Errorf("s3://%s/%s: version %d of Terraform's state cannot be read here: %w", b.Bucket, b.Key, state.Version, orUnknown(err))
	}
	if len(state.Outputs) == 0 {
		return nil, fmt.Errorf("environment %q is half made, or half taken away: run `elasticintel deploy --env %s` or `elasticintel destroy --env %s` again", env, env, env)
	}
	values := map[string]json.RawMessage{}
	for name, o := range state.Outputs {
		values[name] = o.Value
	}
	joined, err := json.Marshal(values)
	var out Outputs
	if err == nil {
		err = json.Unmarshal(joined, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("s3://%s/%s: %w", b.Bucket, b.Key, err)
	}
	return &out, nil
}

func orUnknown(err error) error {
	if err == nil {
		err = fmt.Errorf("want version 4; use a newer release of this program")
	}
	return err
}
