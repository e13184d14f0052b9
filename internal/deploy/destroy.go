package deploy

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// Bucket is the name of an environment's data bucket, as deploy/terraform makes it.
func (a *Account) Bucket(env string) string { return Prefix(env) + "-data-" + a.ID + "-" + a.Region }

// destroyTries is how often the bucket is emptied and the plan made again:
// functions that still run may write until they are gone.
const destroyTries = 3

// Destroy ends what is deployed: it says what is lost, asks, empties the bucket,
// removes everything that was made, and the state, too. ask is asked once.
func (s *Session) Destroy(ctx context.Context, ask func(p *Plan) (bool, error)) error {
	for try := 1; ; try++ {
		s.o.Say("Planning the end …")
		p, err := s.Runner.Plan(ctx, true)
		if err != nil {
			return err
		}
		if try == 1 {
			for _, l := range Words(p) {
				s.o.Say("%s", l)
			}
			if yes, err := ask(p); err != nil || !yes {
				return declined(err)
			}
		}
		if err = s.remove(ctx, p); err == nil {
			break
		}
		if try == destroyTries || !strings.Contains(err.Error(), "BucketNotEmpty") || errors.Is(err, context.Canceled) {
			return err
		}
		s.o.Say("The bucket was written to meanwhile: once more …")
	}
	return s.forget(ctx)
}

func (s *Session) remove(ctx context.Context, p *Plan) error {
	bucket := s.Account.Bucket(s.o.Env)
	s.o.Say("Emptying %s …", bucket)
	if err := s.Account.Empty(ctx, bucket, ""); err != nil || p.Summary().Nothing() {
		return err
	}
	return s.apply(ctx, p)
}

// forget removes what Terraform does not know of: secrets that were put below the
// prefix by hand, and the state.
func (s *Session) forget(ctx context.Context) error {
	if err := s.Account.dropParameters(ctx, "/"+Prefix(s.o.Env)+"/"); err != nil {
		return err
	}
	return s.Forget(ctx)
}

// Forget removes what is left of an environment that is not deployed: its state,
// and the state bucket where no other environment has anything in it.
func (s *Session) Forget(ctx context.Context) error {
	bucketToo, err := s.Account.ForgetState(ctx, s.State)
	if err == nil && bucketToo {
		s.o.Say("Removed the state bucket %s.", s.State.Bucket)
	}
	return err
}

// dropParameters deletes every parameter below a prefix.
func (a *Account) dropParameters(ctx context.Context, prefix string) error {
	ssm := func(name string, in map[string]any, out any) error {
		return a.call(ctx, request{service: "ssm", name: name, method: http.MethodPost, path: "/", target: "AmazonSSM", version: "1.1", in: in}, out)
	}
	for {
		var page struct{ Parameters []struct{ Name string } }
		if err := ssm("GetParametersByPath", map[string]any{"Path": prefix, "Recursive": true, "MaxResults": 10}, &page); err != nil {
			return Explain("parameters below "+prefix, err)
		}
		if len(page.Parameters) == 0 {
			return nil
		}
		var names []string
		for _, p := range page.Parameters {
			names = append(names, p.Name)
		}
		var done struct{ DeletedParameters []string }
		err := ssm("DeleteParameters", map[string]any{"Names": names}, &done)
		if err == nil && len(done.DeletedParameters) == 0 {
			err = errors.New("AWS deletes none of " + strings.Join(names, ", "))
		}
		if err != nil {
			return Explain("parameters below "+prefix, err)
		}
	}
}
