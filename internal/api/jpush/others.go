package jpush

import "net/http"

// otherCalls are those of products that Herald does not have, and of what it
// does in another way. They are answered as JPush answers an app that was not
// given the right to them, so that who calls learns it from the code.
func (a *API) otherCalls() []call {
	var out []call
	for _, c := range []struct{ method, path, why string }{
		{http.MethodPost, "images/byurls", "images for vendors need vendor channels"},
		{http.MethodPut, "images/byurls/{id}", "images for vendors need vendor channels"},
		{http.MethodPost, "images/byfiles", "images for vendors need vendor channels"},
		{http.MethodPut, "images/byfiles/{id}", "images for vendors need vendor channels"},
		{http.MethodPost, "push/template/schedule", "give a schedule of /v1 a message with a template"},
		{http.MethodPost, "grouppush/file", "a file belongs to one app; send to its app"},
		{http.MethodGet, "group/messages/detail", "GET /v1/group/messages tells how the messages of a group fare"},
		{http.MethodGet, "group/users", "ask for the users of each app"},
		{http.MethodPost, "push_plan/create", "there are no push plans here"},
		{http.MethodPut, "push_plan/update", "there are no push plans here"},
		{http.MethodGet, "push_plan/list", "there are no push plans here"},
		{http.MethodPost, "test/model/add", "there are no test devices here; send to registration IDs or a tag"},
		{http.MethodPut, "test/model/update", "there are no test devices here; send to registration IDs or a tag"},
		{http.MethodDelete, "test/model/delete/{id}", "there are no test devices here; send to registration IDs or a tag"},
		{http.MethodGet, "test/model/list", "there are no test devices here; send to registration IDs or a tag"},
	} {
		out = append(out, reading(c.method, c.path, "notOffered", func(*exchange) (any, error) {
			return nil, &refusal{status: http.StatusForbidden, code: codeForbidden, message: c.why}
		}).streaming())
	}
	return append(out, reading(http.MethodGet, "push/quota", "quota", (*exchange).quota))
}

// quotas are what vendors still take. There is no channel to one.
type quotas struct {
	Code    int      `json:"code"`
	Message string   `json:"message"`
	Data    struct{} `json:"data"`
}

func (x *exchange) quota() (any, error) { return quotas{Message: "success"}, nil }
