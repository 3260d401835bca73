/* Nets as options have them: a list. */
#include "net/priv.h"

enum err
nets_add(struct nets *nets, const char *text)
{
	if (nets->n == NETS_MAX || !ip_net_parse(str_of(text), &nets->v[nets->n]))
		return ERR_ARG;
	nets->n++;
	return ERR_OK;
}

bool
nets_have(const struct nets *nets, const struct net_addr *a)
{
	for (unsigned i = 0; i < nets->n; i++)
		if (ip_net_has(&nets->v[i], a->ip))
			return true;
	return false;
}
