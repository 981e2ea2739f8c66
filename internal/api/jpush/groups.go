package jpush

import (
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

func (a *API) groupCalls() []call {
	return []call{on(http.MethodPost, "grouppush", "groupPush", (*exchange).groupPush)}
}

// groupOutcome is what came of a group push in one app.
type groupOutcome struct {
	ID     string     `json:"msg_id,omitempty"`
	Sendno string     `json:"sendno,omitempty"`
	Error  *failureOf `json:"error,omitempty"`
}

// groupPush sends a message to the apps of a group, whose credentials call.
func (x *exchange) groupPush() (any, error) {
	p, err := x.payload(kind{})
	if err != nil {
		return nil, err
	}
	key, body := idempotency(p.cid)
	sent, err := x.a.service.Groups.Send(x.r.Context(), x.p, p.req, key, body)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"group_msgid": sent.ID.String()}
	for _, app := range sent.Apps {
		out[string(app.App)] = x.groupOutcome(app, p.sendno)
	}
	return out, nil
}

func (x *exchange) groupOutcome(o api.GroupOutcome, sendno string) groupOutcome {
	if o.Err != nil {
		told := x.area.refusal(o.Err).body().Error
		return groupOutcome{Error: &told}
	}
	return groupOutcome{ID: o.Answer.ID.String(), Sendno: sendno}
}
