package v1

import (
	"context"
	"mime"
	"net/http"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const (
	exampleBindings = `{"bindings":[{"registration_id":"06dbnqfs00v8k3m1p2r4","alias":"user-1001"},{"registration_id":"06dbnqfs00v8k3m1p2r5","alias":null}]}`
	exampleBound    = `{"bound":2,"unchanged":0,"unknown":0,"refused":0,"errors":[]}`
)

// addBindings adds the operation that binds many devices.
func (a *API) addBindings() {
	register(a, operation{
		id: "bindAliases", method: "POST", path: "/v1/aliases", tag: "Aliases and tags", summary: "Give many devices their aliases", write: true,
		description: "Up to 10,000 pairs as JSON, or a CSV file (`text/csv`, also compressed with gzip or as a form) of up to 1,000,000 lines and 64 MiB with the columns `registration_id` and `alias`; a header line may name them, and without one they are the first two. " +
			"null, or an empty cell, unbinds a device. It is done in slices of 2,000, each in one commit, and may be repeated: what is so already stays. " +
			"What waits for a device by its old alias ends as `rebound` there. Lines that are not valid are left out and told of; the others are done. Needs the scope `devices:write`.",
		body: api.AliasBindings{}, example: exampleBindings, answer: exampleBound,
		upload: []string{"text/csv", "multipart/form-data"}, lines: "registration_id,alias\n06dbnqfs00v8k3m1p2r4,user-1001\n06dbnqfs00v8k3m1p2r5,\n",
	}, func(ctx context.Context, x *exchange, _ *struct{}) (*reply[api.BindAnswer], error) {
		if !x.uploads() {
			q, err := decode[api.AliasBindings](x)
			if err != nil {
				return nil, err
			}
			return answer(a.service.Devices.Bind(ctx, x.p, q))
		}
		if err := a.service.Devices.MayBind(x.p); err != nil {
			return nil, err // before anything is read
		}
		return received(ctx, a, x, func(ctx context.Context, u api.Upload) (api.BindAnswer, error) {
			if !u.CSV {
				return api.BindAnswer{}, refusal(http.StatusUnsupportedMediaType, herald.CodeInvalidRequest, "Send text/csv.", "the list is not CSV")
			}
			return a.service.Devices.BindList(ctx, x.p, u.Body)
		})
	})
}

// uploads reports whether the body is a list that is read as it comes.
func (x *exchange) uploads() bool {
	if x.op.upload == nil || x.op.body == nil {
		return x.op.upload != nil
	}
	media, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	return strings.HasPrefix(media, "text/") || media == "multipart/form-data"
}
