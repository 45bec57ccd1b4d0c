/* Templates: "text ${expression} text" as a tree. */
#include "expr/ast.h"

/* The literal text up to the next "${", with "$${" resolved; `*at` comes out at the "${" or at the end. */
static struct ast *parse_text(struct source *source, size_t *at)
{
    struct text t = source->text;
    struct ast *ast = ast_new(source, AST_LITERAL, *at, 0);
    char *to = arena_alloc(source->arena, t.size - *at);
    if (!ast || !to)
        return source_fail_memory(source);
    size_t size = 0, i = *at;
    while (i < t.size) {
        struct text rest = text_slice(t, i, t.size);
        if (text_starts_with(rest, TEXT("${")))
            break;
        if (text_starts_with(rest, TEXT("$${")))
            i++; /* the escape's first sign; the other two are the text */
        else {
            to[size++] = t.at[i++];
            continue;
        }
        to[size++] = t.at[i++];
        to[size++] = t.at[i++];
    }
    *at = i;
    ast->literal = value_string((struct text){to, size});
    return ast;
}

static struct ast *parse_hole(struct source *source, size_t *at)
{
    size_t start = *at;
    *at += 2;
    struct ast *ast = parser_parse(source, at);
    if (!ast)
        return NULL;
    if (*at >= source->text.size)
        return source_fail(source, start, "this ${ has no }");
    if (source->text.at[*at] != '}')
        return source_fail(source, *at, "'%c' stands where '}' should end the ${", source->text.at[*at]);
    ++*at;
    return ast;
}

struct ast *template_parse(struct source *source)
{
    struct ast *whole = ast_new(source, AST_INTERPOLATE, 0, 4);
    for (size_t at = 0; whole && at < source->text.size;) {
        bool hole = text_starts_with(text_slice(source->text, at, source->text.size), TEXT("${"));
        struct ast *part = hole ? parse_hole(source, &at) : parse_text(source, &at);
        if (!part || !ast_append(source, whole, part, false))
            return NULL;
    }
    if (!whole || source->failed)
        return NULL;
    if (whole->count == 1)
        return whole->items[0];
    if (whole->count == 0) { /* an empty text */
        whole->kind = AST_LITERAL;
        whole->literal = value_string(TEXT(""));
    }
    return whole;
}
