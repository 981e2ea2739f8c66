package v1

import "testing"

func TestTemplateOperations(t *testing.T) {
	n := newNode(t)
	const path = "/v1/templates/a%2Fb"
	body := `{` + templateBody + `}`
	if v := n.call(n.key, "PUT", path, body, 201); v["version"] != 1.0 || v["name"] != "a/b" {
		t.Errorf("saved: %v", v)
	}
	n.call(n.key, "PUT", path, body, 200)
	n.call(n.key, "PUT", path, `{"language":"en"}`, 422)
	n.call(n.key, "PUT", path, `{"languages":"en"}`, 422)
	if v := n.call(n.key, "GET", path, "", 200); len(asList(v["variables"])) != 2 {
		t.Errorf("shown: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/templates?limit=1", "", 200); len(asList(v["templates"])) != 1 {
		t.Errorf("listed: %v", v)
	}
	n.call(n.key, "GET", "/v1/templates?limit=0", "", 422)
	if v := n.call(n.key, "POST", path+"/render", `{"values":{"order":"7"},"language":"en-GB"}`, 200); v["notification"].(map[string]any)["title"] != "Hello friend" {
		t.Errorf("rendered: %v", v)
	}
	if v := n.call(n.key, "POST", path+"/render", `{}`, 422); v["field"] != "values.order" {
		t.Errorf("without a value: %v", v)
	}
	n.call(n.key, "POST", path+"/render", `{"value":1}`, 422)
	n.call(n.key, "POST", "/v1/messages", `{"audience":"all","template":{"id":"a/b","values":{"order":"7"}}}`, 202)
	if v := n.call(n.key, "POST", "/v1/messages", `{"audience":"all","template":{"id":"a/b"}}`, 422); v["field"] != "template.values.order" {
		t.Errorf("a message without a value: %v", v)
	}
	n.call(n.key, "DELETE", path, "", 204)
	n.call(n.key, "DELETE", path, "", 404)
	n.call(n.key, "GET", path, "", 404)
	n.call(n.key, "POST", path+"/render", `{}`, 404)
}
