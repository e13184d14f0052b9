package api

import (
	"bytes"
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
)

// document is the OpenAPI 3.1 description of this package. Tests keep it equal
// to the code.
//
//go:embed openapi.json
var document []byte

// openapi serves GET /api/v1/openapi.json.
func (a *api) openapi(c *call) error {
	c.sendTagged(typeJSON, document)
	return nil
}

// stats serves GET /api/v1/stats.
func (a *api) stats(c *call) error {
	st, err := a.Lookup.Stats(c.r.Context())
	if err != nil {
		return err
	}
	if st.ByKind == nil {
		st.ByKind = map[string]int{}
	}
	return c.sendJSON(st)
}

// health serves GET /healthz: the process answers.
func (a *api) health(c *call) error {
	c.send(http.StatusOK, typeJSON, []byte(`{"status":"ok"}`+"\n"))
	return nil
}

// ready serves GET /readyz: look-ups are possible. Anybody may ask, so the
// reason goes to the log, but for what an error has for everybody: Why.
func (a *api) ready(c *call) error {
	if err := a.Ready(); err != nil {
		a.Log.LogAttrs(c.r.Context(), slog.LevelWarn, "not ready", slog.String("error", err.Error()))
		var open interface{ Why() string }
		if errors.As(err, &open) {
			return &fault{is: errNotReady, detail: "not ready to answer look-ups: " + open.Why() + "; the server's log says more"}
		}
		return &fault{is: errNotReady, detail: "not ready to answer look-ups yet; the server's log says why"}
	}
	c.send(http.StatusOK, typeJSON, []byte(`{"status":"ready"}`+"\n"))
	return nil
}

// exposition serves GET /metrics.
func (a *api) exposition(c *call) error {
	var buf bytes.Buffer
	a.metrics.write(&buf)
	if st, err := a.Lookup.Stats(c.r.Context()); err == nil {
		writeStats(&buf, st)
	}
	if a.Metrics != nil {
		a.Metrics(&buf)
	}
	c.send(http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", buf.Bytes())
	return nil
}
