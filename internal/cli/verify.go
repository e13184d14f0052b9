package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"github.com/elasticintel/elasticintel/internal/blob"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/corpus"
	"github.com/elasticintel/elasticintel/internal/enrich/facts"
	"github.com/elasticintel/elasticintel/internal/ingest"
	"github.com/elasticintel/elasticintel/internal/local"
)

func (p *program) verifyCmd() *cobra.Command {
	sample := 1000
	cmd := &cobra.Command{
		Use: "verify", Short: "Read everything that is stored and check every checksum and the ledger",
		Long: `Reads every head, segment, ledger row and what registries said, checks checksums, formats and counts, and looks for the raw downloads that the
ledger names. Leftovers of a killed run are no error. Works beside a running server. Exit code 5 where something is damaged.

Where the engine is a cluster, its index is compared too: how many listings each feed has of each kind, and about --sample
listings and as many documents, which the one side or the other may lack, or have otherwise.`,
		Example: "  elasticintel verify\n  elasticintel verify -o ndjson",
		Args:    args(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := p.openStore(cmd.Context())
			if err != nil {
				return err
			}
			index, err := p.verifyIndex(cmd.Context(), sample)
			if err != nil {
				return err
			}
			n, err := p.verify(cmd.Context(), store, index...)
			if err != nil {
				return err
			}
			if n > 0 && n == len(index) {
				return &failure{exitPartial, fmt.Errorf("the index: %s", plural(n, "problem")), "The data folder is whole. `elasticintel reindex` makes the index anew from it."}
			}
			if n > 0 {
				return &failure{exitPartial, fmt.Errorf("data folder %s: %s", p.cfg.Data, plural(n, "problem")),
					"Take a backup: `elasticintel restore FILE --data NEW-DIR`. Without one, `elasticintel ingest FEED` and `elasticintel feeds approve FEED` start a damaged feed anew; its history is lost then."}
			}
			p.talk.say("Everything is as it was written.")
			return nil
		},
	}
	p.cfg.Bind(cmd.Flags(), config.EngineFlags()...)
	cmd.Flags().IntVar(&sample, "sample", sample, "about how many listings are compared with an index; 0 compares counts alone")
	return cmd
}

// openStore opens the data folder as a store, readable or not as a corpus.
func openStore(root string) (*blob.Dir, error) {
	store, err := blob.OpenDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data folder %s: %w: there is no such folder", root, local.ErrNoData)
	}
	return store, err
}

// verify prints what is wrong with a store, and more, and returns how much that is. What
// is found is looked at twice: a run that ends between the reading of two
// objects makes them look as if they did not belong together, damage stays.
func (p *program) verify(ctx context.Context, store blob.Store, more ...corpus.Problem) (int, error) {
	found, err := p.problems(ctx, store)
	if err == nil && len(found) > 0 {
		var again []corpus.Problem
		if again, err = p.problems(ctx, store); err == nil {
			found = slices.DeleteFunc(found, func(x corpus.Problem) bool { return !slices.Contains(again, x) })
		}
	}
	if err != nil {
		return 0, err
	}
	found = append(found, more...)
	return len(found), printList(p.out, found, []column[corpus.Problem]{
		{name: "object", text: func(x *corpus.Problem) string { return x.Key }},
		{name: "problem", text: func(x *corpus.Problem) string { return x.Detail }},
	})
}

// problems reads all of a store once.
func (p *program) problems(ctx context.Context, store blob.Store) ([]corpus.Problem, error) {
	var found []corpus.Problem
	report := func(x corpus.Problem) { found = append(found, x) }
	err := corpus.Verify(ctx, store, report)
	if errors.Is(err, corpus.ErrNoStore) {
		return nil, fmt.Errorf("data folder %s: %w", p.cfg.Data, local.ErrNoData)
	} else if err != nil {
		return nil, err
	}
	if err := facts.Verify(ctx, store, func(key, problem string) { report(corpus.Problem{Key: key, Detail: problem}) }); err != nil {
		return found, err
	}
	return found, ingest.VerifyLedger(ctx, store, report)
}
