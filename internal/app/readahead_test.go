package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/elasticintel/elasticintel/internal/app"
	"github.com/elasticintel/elasticintel/internal/testing/feedserver"
)

// TestApp_ReadsAhead warms up once the server is ready, and Stop ends it.
func TestApp_ReadsAhead(t *testing.T) {
	pub := feedserver.New()
	if err := pub.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	began, ended := make(chan error, 1), make(chan error, 1)
	var a *app.App
	a, _, _ = build(t, pub, []string{"idle"}, func(c *app.Config) {
		c.Offline = true
		c.ReadAhead = func(ctx context.Context) error {
			began <- a.Ready()
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		}
	})
	a.Start()
	wait := func(c <-chan error, what string) error {
		t.Helper()
		select {
		case err := <-c:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal(what)
			return nil
		}
	}
	if err := wait(began, "it did not begin to read ahead"); err != nil {
		t.Fatalf("it read ahead before it was ready: %v", err)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := wait(ended, "Stop did not end it"); err == nil {
		t.Fatal("its ctx has not ended")
	}
}
