package v1

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
)

func TestSegments(t *testing.T) {
	n := newNode(t)
	n.call(n.key, "PUT", "/v1/segments/vips", `{"audience":{"tags":["vip"]}}`, 201)
	n.call(n.key, "PUT", "/v1/segments/vips", `{"audience":{"tags":["vip","gold"]}}`, 200)
	n.call(n.key, "PUT", "/v1/segments/a%2Fb", `{"audience":{"segments":["vips"]}}`, 201)
	v := n.call(n.key, "GET", "/v1/segments/vips", "", 200)
	if fmt.Sprint(v["audience"]) != "map[tags:[vip gold]]" || fmt.Sprint(v["estimate"]) != "map[devices:0 online:0 unknown:0]" {
		t.Errorf("shown: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/segments/a%2Fb", "", 200); v["name"] != "a/b" {
		t.Errorf("shown: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/segments?limit=1", "", 200); v["next_cursor"] != "a/b" || strings.Contains(fmt.Sprint(v), "vips:") {
		t.Errorf("page: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/segments?name=vips", "", 200); len(v["segments"].([]any)) != 1 {
		t.Errorf("by name: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/segments?name=nobody", "", 200); len(v["segments"].([]any)) != 0 {
		t.Errorf("by a name that is none: %v", v)
	}
	if v := n.call(n.key, "DELETE", "/v1/segments/vips", "", 409); !strings.Contains(fmt.Sprint(v["detail"]), "a/b") {
		t.Errorf("deleting what is used: %v", v)
	}
	n.call(n.key, "PUT", "/v1/segments/vips", `{"audience":{"segments":["a/b"]}}`, 422)
	n.call(n.key, "PUT", "/v1/segments/x", `{"audience":{"tag":["vip"]}}`, 422)
	n.call(n.key, "PUT", "/v1/segments/x", `{}`, 422)
	n.call(n.key, "GET", "/v1/segments/x", "", 404)
	n.call("", "GET", "/v1/segments/vips", "", 401)
	n.call(n.key, "DELETE", "/v1/segments/a%2Fb", "", 204)
	n.call(n.key, "DELETE", "/v1/segments/vips", "", 204)
	n.call(n.key, "DELETE", "/v1/segments/vips", "", 404)
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	must(t, err)
	must(t, z.Close())
	return b.String()
}

func TestUpload(t *testing.T) {
	n := newNode(t)
	const csv, plain, form = "Content-Type: text/csv", "Content-Type: text/plain; charset=utf-8", "Content-Type: multipart/form-data; boundary=b"
	part := func(head string) string {
		return "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=file" + head + "\r\n\r\nalias\nanna\r\n--b--\r\n"
	}
	for _, tt := range []struct {
		name, query, body string
		status            int
		headers           []string
	}{
		{"CSV", "", "name,alias\nAnna,anna\n", 201, []string{csv}},
		{"lines", "?of=aliases&name=my+list", "anna\r\nben\r\n", 201, []string{plain}},
		{"gzip", "?of=aliases", zipped(t, "anna\n"), 201, []string{plain, "Content-Encoding: gzip"}},
		{"form", "", part("; filename=list.csv"), 201, []string{form}},
		{"form with a type", "", part("\r\nContent-Type: text/plain"), 201, []string{form}},
		{"form, unknown type", "", part("; filename=list.bin"), 415, []string{form}},
		{"form without the part", "", "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--\r\n", 422, []string{form}},
		{"form cut off", "", "--b\r\nContent-Dis", 400, []string{form}},
		{"JSON", "", `["anna"]`, 415, []string{"Content-Type: application/json"}},
		{"no type", "", "alias\nanna", 415, nil},
		{"another charset", "", "alias\nanna", 415, []string{"Content-Type: text/csv; charset=gbk"}},
		{"another compression", "", "x", 415, []string{csv, "Content-Encoding: br"}},
		{"not gzip", "", "alias\nanna", 400, []string{csv, "Content-Encoding: gzip"}},
		{"gzip cut off", "?of=aliases", zipped(t, strings.Repeat("anna\n", 100))[:30], 400, []string{plain, "Content-Encoding: gzip"}},
		{"gzip that grows", "?of=aliases", zipped(t, strings.Repeat("a", 65<<20)), 413, []string{plain, "Content-Encoding: gzip"}},
		{"no kind", "", "anna\nben", 422, []string{plain}},
		{"a kind that is none", "?of=tags", "anna\nben", 422, []string{plain}},
		{"a bad line", "?of=registration_ids", "06dbnqfs00v8k3m1p2r4\nanna", 422, []string{plain}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n.t = t
			n.call(n.key, "POST", "/v1/files"+tt.query, tt.body, tt.status, tt.headers...)
		})
	}
	n.t = t
	list := n.call(n.key, "GET", "/v1/files", "", 200)["files"].([]any)
	if len(list) != 5 {
		t.Errorf("%d files are there, want those that were taken", len(list))
	}
	id := n.call(n.key, "POST", "/v1/files?of=aliases", "anna", 201, plain)["id"].(string)
	if v := n.call(n.key, "GET", "/v1/files/"+id, "", 200); v["unknown"] != 1.0 || v["of"] != "aliases" {
		t.Errorf("shown: %v", v)
	}
	n.call(n.key, "GET", "/v1/files/x", "", 404)
	n.call(n.key, "DELETE", "/v1/files/x", "", 404)
	n.call("", "POST", "/v1/files?of=aliases", "anna", 401, plain)
	n.call(n.key, "POST", "/v1/tags/t", `{"add_files":["`+id+`"]}`, 200)
	n.call(n.key, "POST", "/v1/messages", `{"audience":{"files":["`+id+`"]},"data":1}`, 202)
	n.call(n.key, "DELETE", "/v1/files/"+id, "", 204)
	n.call(n.key, "DELETE", "/v1/files/"+id, "", 404)
	n.call(n.key, "POST", "/v1/messages", `{"audience":{"files":["`+id+`"]},"data":1}`, 422)
	if v := n.call(n.key, "POST", "/v1/files?of=registration_ids", "06dbnqfs00v8k3m1p2r4\nanna", 422, plain); !strings.Contains(fmt.Sprint(v["detail"]), "line 2") {
		t.Errorf("a bad line: %v", v)
	}
}

func TestPutAlias(t *testing.T) {
	n := newNode(t)
	if v := n.call(n.key, "PUT", "/v1/aliases/u%2F7", "", 201); v["alias"] != "u/7" || len(v["devices"].([]any)) != 0 || v["created_at"] == nil {
		t.Errorf("made: %v", v)
	}
	n.call(n.key, "PUT", "/v1/aliases/u%2F7", "", 200)
	n.call("", "PUT", "/v1/aliases/u", "", 401)
	n.call(n.key, "GET", "/v1/aliases/u%2F7", "", 200)
	n.call(n.key, "DELETE", "/v1/aliases/u%2F7", "", 204)
	n.call(n.key, "GET", "/v1/aliases/u%2F7", "", 404)
}

func TestBindAliases(t *testing.T) {
	n := newNode(t)
	id := n.call(n.key, "POST", "/v1/devices", `{}`, 201)["registration_id"].(string)
	const csv, form = "Content-Type: text/csv", "Content-Type: multipart/form-data; boundary=b"
	for _, tt := range []struct {
		name, body string
		status     int
		headers    []string
		want       string
	}{
		{"JSON", `{"bindings":[{"registration_id":"` + id + `","alias":"anna"}]}`, 200, nil, "1 0 0 0"},
		{"again", `{"bindings":[{"registration_id":"` + id + `","alias":"anna"}]}`, 200, nil, "0 1 0 0"},
		{"CSV", "registration_id,alias\n" + id + ",ben\nx,y\n00000000000000000000,z\n", 200, []string{csv}, "1 0 1 1"},
		{"gzip", zipped(t, id+",carl\n"), 200, []string{csv, "Content-Encoding: gzip"}, "1 0 0 0"},
		{"form", "--b\r\nContent-Disposition: form-data; name=file; filename=a.csv\r\n\r\n" + id + ",dora\r\n--b--\r\n", 200, []string{form}, "1 0 0 0"},
		{"null", `{"bindings":[{"registration_id":"` + id + `","alias":null}]}`, 200, nil, "1 0 0 0"},
		{"nothing", `{"bindings":[]}`, 422, nil, ""},
		{"no list", "\n", 422, []string{csv}, ""},
		{"lines", id + ",x", 415, []string{"Content-Type: text/plain"}, ""},
		{"form of lines", "--b\r\nContent-Disposition: form-data; name=file; filename=a.txt\r\n\r\n" + id + ",x\r\n--b--\r\n", 415, []string{form}, ""},
		{"another type", `x`, 415, []string{"Content-Type: application/xml"}, ""},
		{"cut off", zipped(t, strings.Repeat(id+",x\n", 100))[:40], 400, []string{csv, "Content-Encoding: gzip"}, ""},
		{"too large", `{"bindings":[` + strings.Repeat(" ", 1<<20) + `]}`, 413, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n.t = t
			v := n.call(n.key, "POST", "/v1/aliases", tt.body, tt.status, tt.headers...)
			if got := fmt.Sprint(v["bound"], v["unchanged"], v["unknown"], v["refused"]); tt.want != "" && got != tt.want {
				t.Errorf("%v, want %s", v, tt.want)
			}
		})
	}
	n.t = t
	n.call("", "POST", "/v1/aliases", id+",x", 401, csv)
}
