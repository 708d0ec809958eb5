package server

import (
	"bytes"
	"fmt"
	"mime"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/labstack/echo/v4"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// openAPI is docs/openapi.yaml. Its schemas are JSON Schema of 2020-12, as OpenAPI 3.1
// has them. It is for one goroutine.
type openAPI struct {
	doc      map[string]any
	compiler *jsonschema.Compiler
}

const openAPIURL = "file:///openapi.json"

// readOpenAPI reads the document, lets the test change it, and closes the objects
// that are open for fields to come: to the test a field that is not described is an
// error.
func readOpenAPI(t testing.TB, change ...func(doc map[string]any)) *openAPI {
	t.Helper()
	text, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, err = yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	o := &openAPI{doc: parsed.(map[string]any), compiler: jsonschema.NewCompiler()}
	for _, c := range change {
		c(o.doc)
	}
	closeObjects(o.doc)
	o.compiler.AssertFormat()
	if err := o.compiler.AddResource(openAPIURL, o.doc); err != nil {
		t.Fatal(err)
	}
	return o
}

func closeObjects(value any) {
	switch v := value.(type) {
	case map[string]any:
		if _, closed := v["additionalProperties"]; v["type"] == "object" && v["properties"] != nil && !closed {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			closeObjects(inner)
		}
	case []any:
		for _, inner := range v {
			closeObjects(inner)
		}
	}
}

// place is somewhere in the document: the keys that lead there.
type place []string

func (p place) to(keys ...string) place { return append(slices.Clone(p), keys...) }

// pointer is the place as the fragment of a URL.
func (p place) pointer() string {
	var b strings.Builder
	for _, key := range p {
		b.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(key)))
	}
	return b.String()
}

// at is what stands at a place, nil if nothing does; where a reference stands, it is
// followed, and the place is where it leads.
func (o *openAPI) at(p place) (any, place) {
	var value any = o.doc
	for i, key := range p {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			n, err := strconv.Atoi(key)
			if err != nil || n >= len(v) {
				return nil, p
			}
			value = v[n]
		default:
			return nil, p
		}
		if object, ok := value.(map[string]any); ok && object["$ref"] != nil && i > 0 {
			target := strings.Split(strings.TrimPrefix(object["$ref"].(string), "#/"), "/")
			return o.at(place(target).to(p[i+1:]...))
		}
	}
	return value, p
}

func (o *openAPI) object(p place) map[string]any {
	value, _ := o.at(p)
	object, _ := value.(map[string]any)
	return object
}

// validate holds a value against the schema at a place.
func (o *openAPI) validate(p place, value any) error {
	_, p = o.at(p)
	schema, err := o.compiler.Compile(openAPIURL + "#" + p.pointer())
	if err != nil {
		return fmt.Errorf("no schema: %w", err)
	}
	return schema.Validate(value)
}

// operation is one method of one path.
type operation struct{ method, path string }

func (op operation) String() string { return op.method + " " + op.path }

func (op operation) place() place { return place{"paths", op.path, strings.ToLower(op.method)} }

// operations are all that the document describes, in order.
func (o *openAPI) operations() []operation {
	var operations []operation
	for path := range o.object(place{"paths"}) {
		for method := range o.object(place{"paths", path}) {
			if method != "parameters" {
				operations = append(operations, operation{strings.ToUpper(method), path})
			}
		}
	}
	slices.SortFunc(operations, func(a, b operation) int { return strings.Compare(a.String(), b.String()) })
	return operations
}

// parameters are the places of the parameters of an operation, its path's included.
func (o *openAPI) parameters(op operation) []place {
	var places []place
	for _, of := range []place{{"paths", op.path, "parameters"}, op.place().to("parameters")} {
		list, _ := o.at(of)
		parameters, _ := list.([]any)
		for i := range parameters {
			_, p := o.at(of.to(strconv.Itoa(i)))
			places = append(places, p)
		}
	}
	return places
}

// differences compare the document with the router, both ways.
func (o *openAPI) differences(routes []*echo.Route) []string {
	described, routed := map[string]bool{}, map[string]bool{}
	for _, op := range o.operations() {
		described[op.String()] = true
	}
	var found []string
	for _, route := range routes {
		name := route.Method + " " + pathParameter.ReplaceAllString(route.Path, "{$1}")
		routed[name] = true
		if !described[name] {
			found = append(found, "docs/openapi.yaml lacks "+name)
		}
	}
	for name := range described {
		if !routed[name] {
			found = append(found, "docs/openapi.yaml describes "+name+", which is no route")
		}
	}
	return found
}

// check holds an answer of a running server against what the document says of it.
func (o *openAPI) check(op operation, a answer) error {
	response := op.place().to("responses", strconv.Itoa(a.status))
	if o.object(response) == nil {
		return fmt.Errorf("%s: %d is not described: %s", op, a.status, a.body)
	}
	if err := o.checkHeaders(response, a); err != nil {
		return fmt.Errorf("%s: %d: %w", op, a.status, err)
	}
	if err := o.checkBody(response, a); err != nil {
		return fmt.Errorf("%s: %d: %w: %s", op, a.status, err, a.body)
	}
	return nil
}

func (o *openAPI) checkHeaders(response place, a answer) error {
	described := o.object(response.to("headers"))
	for _, ours := range []string{headerIndex, "Retry-After"} {
		if a.header.Get(ours) != "" && described[ours] == nil {
			return fmt.Errorf("the header %s is not described", ours)
		}
	}
	for name := range described {
		header := response.to("headers", name)
		text := a.header.Get(name)
		if text == "" {
			if o.object(header)["required"] == true {
				return fmt.Errorf("the header %s is missing", name)
			}
			continue
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text)) // all of ours are integers
		if err != nil {
			value = text
		}
		if err := o.validate(header.to("schema"), value); err != nil {
			return fmt.Errorf("the header %s: %w", name, err)
		}
	}
	return nil
}

func (o *openAPI) checkBody(response place, a answer) error {
	content := o.object(response.to("content"))
	if content == nil {
		if len(a.body) > 0 {
			return fmt.Errorf("a body is not described")
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || content[mediaType] == nil {
		return fmt.Errorf("the type %q is not described", mediaType)
	}
	var value any = string(a.body)
	if strings.HasSuffix(mediaType, "json") {
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(a.body)); err != nil {
			return err
		}
	}
	return o.validate(response.to("content", mediaType, "schema"), value)
}

// TestOpenAPINamesEveryRoute: docs/openapi.yaml has each route with its method, and
// none that is not one.
func TestOpenAPINamesEveryRoute(t *testing.T) {
	t.Parallel()
	for _, difference := range readOpenAPI(t).differences(startSingle(t).http.Handler.(*echo.Echo).Routes()) {
		t.Error(difference)
	}
}

// TestOpenAPIIsWhole: each operation has a name of its own, describes the parameters
// of its path, and every schema can be used.
func TestOpenAPIIsWhole(t *testing.T) {
	t.Parallel()
	o := readOpenAPI(t)
	names := map[any]bool{}
	for _, op := range o.operations() {
		name := o.object(op.place())["operationId"]
		if name == nil || names[name] {
			t.Errorf("%s: operationId is %v, want one of its own", op, name)
		}
		names[name] = true
		for _, p := range o.parameters(op) {
			if parameter := o.object(p); parameter["in"] == "path" && !strings.Contains(op.path, fmt.Sprintf("{%v}", parameter["name"])) {
				t.Errorf("%s has no {%v}", op, parameter["name"])
			}
		}
		for _, parts := range strings.Split(op.path, "{")[1:] {
			name, _, _ := strings.Cut(parts, "}")
			if !slices.ContainsFunc(o.parameters(op), func(p place) bool {
				return o.object(p)["name"] == name && o.object(p)["in"] == "path" && o.object(p)["required"] == true
			}) {
				t.Errorf("%s: {%s} is not described", op, name)
			}
		}
		if o.object(op.place().to("responses"))["default"] == nil {
			t.Errorf("%s: no default response", op)
		}
	}
	for name := range o.object(place{"components", "schemas"}) {
		if _, err := o.compiler.Compile(openAPIURL + "#" + place{"components", "schemas", name}.pointer()); err != nil {
			t.Error(err)
		}
	}
}
