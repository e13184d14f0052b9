package deploy

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// TestAllowURL: the request is what AWS documents, and a statement that is there
// already is no error; another refusal is one.
func TestAllowURL(t *testing.T) {
	status := http.StatusCreated
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]any
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != http.MethodPost || r.URL.Path != "/2015-03-31/functions/ei-x-api/policy" ||
			in["Action"] != "lambda:InvokeFunction" || in["Principal"] != "*" || in["InvokedViaFunctionUrl"] != true || in["StatementId"] != urlStatement {
			t.Errorf("%s %s %v %v", r.Method, r.URL, in, err)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"Message":"no"}`))
	}))
	defer s.Close()
	a := &Account{ID: "1", Region: "us-east-1", now: time.Now, cfg: aws.Config{Region: "us-east-1", BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}}
	a.ready()
	for code, fails := range map[int]bool{http.StatusCreated: false, http.StatusConflict: false, http.StatusForbidden: true} {
		status = code
		if err := a.AllowURL(t.Context(), "ei-x-api"); (err != nil) != fails || fails && !strings.Contains(err.Error(), "URL") {
			t.Errorf("%d: %v", code, err)
		}
	}
}
