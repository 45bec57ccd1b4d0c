/* The manual's two pages for man(1), in roff. */
#pragma once

#include <stdio.h>

void man_write_program(FILE *to,
                       const void *unused); /* turnpike.1, from the tables of commands and options */
void man_write_configuration(FILE *to, const void *unused); /* turnpike.yaml.5, from the field tables */
