package deploy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// urlStatement is the name of the statement in a function's policy.
const urlStatement = "url-invoke"

// AllowURL lets everybody invoke a function by its own URL, where API keys of the
// program decide. Since October 2025 AWS wants lambda:InvokeFunction for that beside
// lambda:InvokeFunctionUrl, which Terraform's provider gives; the further condition is
// not in provider 5.x (docs.aws.amazon.com/lambda/latest/dg/urls-auth.html). Where the
// statement is there nothing changes.
func (a *Account) AllowURL(ctx context.Context, function string) error {
	err := a.call(ctx, request{service: "lambda", name: "AddPermission", method: http.MethodPost, path: "/2015-03-31/functions/" + url.PathEscape(function) + "/policy",
		in: map[string]any{"StatementId": urlStatement, "Action": "lambda:InvokeFunction", "Principal": "*", "InvokedViaFunctionUrl": true}}, nil)
	var said *APIError
	if errors.As(err, &said) && said.Status == http.StatusConflict {
		return nil
	}
	return Explain("the permission of the function's URL", err)
}
