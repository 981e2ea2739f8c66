package v1

import "testing"

func TestRouteOperations(t *testing.T) {
	n := newNode(t)
	const path = "/v1/routes/a%2Fb"
	body := `{` + routeSteps + `}`
	v := n.call(n.key, "PUT", path, body, 201)
	steps := asList(v["steps"])
	if v["name"] != "a/b" || len(steps) != 3 || steps[2].(map[string]any)["after"] != "1m" || steps[0].(map[string]any)["unless"] != "received" {
		t.Errorf("saved: %v", v)
	}
	n.call(n.key, "PUT", path, body, 200)
	if v := n.call(n.key, "PUT", path, `{"steps":[]}`, 422); v["field"] != "steps" {
		t.Errorf("without steps: %v", v)
	}
	n.call(n.key, "PUT", path, `{"step":[]}`, 422)
	n.call(n.key, "PUT", path, `{`, 400)
	if v := n.call(n.key, "GET", path, "", 200); len(asList(v["steps"])) != 3 {
		t.Errorf("shown: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/routes", "", 200); len(asList(v["routes"])) != 1 {
		t.Errorf("listed: %v", v)
	}
	n.call(n.key, "POST", "/v1/messages", `{"audience":"all","data":1,"route":"a/b","debug":true,"digest":{"key":"k","window":"1m"}}`, 202)
	n.call(n.key, "POST", "/v1/messages", `{"audience":"all","data":1,"route":{"steps":[{"channel":"live"},{"channel":"sms","after":"10s"}]}}`, 202)
	if v := n.call(n.key, "POST", "/v1/messages", `{"audience":"all","data":1,"route":{"steps":[{"channel":"live","after":"10"}]}}`, 422); v["field"] != "route.steps[0].after" {
		t.Errorf("a time without a unit: %v", v)
	}
	n.call(n.key, "DELETE", path, "", 204)
	n.call(n.key, "DELETE", path, "", 404)
	n.call(n.key, "GET", path, "", 404)
	if v := n.call(n.key, "POST", "/v1/messages", `{"audience":"all","data":1,"route":"a/b"}`, 422); v["field"] != "route" {
		t.Errorf("a route that is gone: %v", v)
	}
}
