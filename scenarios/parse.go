package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The bounds of a scenario file, beyond anything a person writes.
const (
	MaxFileBytes = 1 << 20
	maxTokens    = 20_000 // words and marks, as YAML counts them
	maxDepth     = 16     // lists and mappings inside each other
)

// Load reads and checks the scenario file at path. Mistakes in it come as
// Problems, under the path as their file; any other error means that it could
// not be read. bounds are those of the population's parameters; nil takes any.
func Load(path string, bounds ParameterBounds) (*Scenario, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return parse(path, data, bounds)
}

// Parse checks a scenario in YAML and fills in its defaults. name stands for
// the file in messages. The error, if any, is Problems: all mistakes at once,
// in the order of the file. It does not know which parameters a population has. data is
// copied.
func Parse(name string, data []byte) (*Scenario, error) { return parse(name, data, nil) }

func parse(name string, data []byte, bounds ParameterBounds) (*Scenario, error) {
	d := &decoder{file: name, bounds: bounds}
	var s *Scenario
	if root := d.syntax(data); root != nil {
		s = d.scenario(root)
	}
	if len(d.problems) > 0 {
		d.problems.sort()
		return nil, d.problems
	}
	s.Raw = bytes.Clone(data)
	return s, nil
}

// syntax reads the one document in data, or notes why there is none and
// returns nil.
func (d *decoder) syntax(data []byte) ast.Node {
	if len(data) > MaxFileBytes {
		d.add(1, 1, "the file is larger than 1 MiB")
		return nil
	}
	if line, column, ok := firstInvalid(data); !ok {
		d.add(line, column, "expected text in UTF-8 without control characters")
		return nil
	}
	// The lexer takes a byte order mark for text, and in block scalars counts
	// the two characters of a CRLF as two lines.
	text := bytes.ReplaceAll(bytes.TrimPrefix(data, []byte("\ufeff")), []byte("\r\n"), []byte("\n"))
	file, err := d.parse(text)
	if err != nil {
		d.addSyntaxError(err)
		return nil
	}
	if file == nil {
		return nil
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			d.at(doc.Body, "expected one document in the file, here begins another")
			return nil
		}
		root = doc.Body
	}
	if root == nil {
		d.add(1, 1, "the file is empty, expected a scenario")
	}
	return root
}

// parse returns nil without an error when the tokens already had problems. It
// guards the parser, which has no limits of its own, and turns a panic in it
// into an error: the file is a stranger's.
func (d *decoder) parse(data []byte) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errors.New("this is not YAML that can be read")
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if !d.tokensAllowed(tokens) {
		return nil, nil
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// tokensAllowed refuses the parts of YAML that a scenario has no use for, and
// what would nest too deep.
func (d *decoder) tokensAllowed(tokens token.Tokens) bool {
	if len(tokens) > maxTokens {
		d.atToken(tokens[maxTokens], "the scenario is too long: more than %d words and marks", maxTokens)
		return false
	}
	allowed := true
	refuse := func(tk *token.Token, what string) {
		d.atToken(tk, "%s", what)
		allowed = false
	}
	depth, inLine, line := 0, 0, 0
	for _, tk := range tokens {
		switch tk.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			refuse(tk, "anchors, aliases and merges are not supported, write the value out")
		case token.TagType:
			refuse(tk, "tags are not supported")
		case token.DirectiveType:
			refuse(tk, "directives are not supported")
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType:
			if tk.Position != nil && tk.Position.Line != line {
				line, inLine = tk.Position.Line, 0
			}
			inLine++
		}
		if depth > maxDepth || inLine > maxDepth {
			refuse(tk, fmt.Sprintf("more than %d lists and mappings inside each other", maxDepth))
			return false
		}
	}
	return allowed
}

func (d *decoder) addSyntaxError(err error) {
	var located yaml.Error
	if errors.As(err, &located) {
		d.atToken(located.GetToken(), "YAML: %s", located.GetMessage())
		return
	}
	d.add(1, 1, "YAML: %s", err)
}

// firstInvalid finds the first byte that is not UTF-8, or is a control
// character that no text has.
func firstInvalid(data []byte) (line, column int, ok bool) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return line, column, false
		case r == '\n':
			line, column = line+1, 1
		default:
			column++
		}
		data = data[size:]
	}
	return 0, 0, true
}
