/* SPDX-License-Identifier: Apache-2.0 */
/* lang.c - texts by language. A further text is a row, a further language a column and a row of langs[]. Called by the
 * protocols where they write answers; most clients never ask for another language, so looking for a text takes its
 * time.
 */
#include "session/lang.h"

static const struct {
	struct slice tag, name;
} langs[LANG_COUNT] = {
	[LANG_DEFAULT] = { S_ROW("i-default"), S_ROW("English, for everybody") },
	[LANG_EN] = { S_ROW("en"), S_ROW("English") },
	[LANG_DE] = { S_ROW("de"), S_ROW("Deutsch") },
	[LANG_FR] = { S_ROW("fr"), S_ROW("Français") },
};

static const struct row {
	struct slice en, de, fr;
} texts[] = {
	{ S_ROW("appended"), S_ROW("angehängt"), S_ROW("ajouté") },
	{ S_ROW("begin TLS now"), S_ROW("TLS kann beginnen"), S_ROW("TLS peut commencer") },
	{ S_ROW("cancelled"), S_ROW("abgebrochen"), S_ROW("annulé") },
	{ S_ROW("changes up to there are known"), S_ROW("Änderungen bis dahin sind bekannt"),
	  S_ROW("les changements jusque-là sont connus") },
	{ S_ROW("closed"), S_ROW("geschlossen"), S_ROW("fermé") },
	{ S_ROW("copied"), S_ROW("kopiert"), S_ROW("copié") },
	{ S_ROW("created"), S_ROW("angelegt"), S_ROW("créé") },
	{ S_ROW("deleted"), S_ROW("gelöscht"), S_ROW("supprimé") },
	{ S_ROW("done"), S_ROW("erledigt"), S_ROW("terminé") },
	{ S_ROW("expunged"), S_ROW("endgültig gelöscht"), S_ROW("supprimé définitivement") },
	{ S_ROW("done for the last messages of these"), S_ROW("erledigt für die letzten dieser Nachrichten"),
	  S_ROW("terminé pour les derniers de ces messages") },
	{ S_ROW("fetched"), S_ROW("abgerufen"), S_ROW("lu") },
	{ S_ROW("IDLE ended"), S_ROW("IDLE beendet"), S_ROW("IDLE terminé") },
	{ S_ROW("listed"), S_ROW("aufgelistet"), S_ROW("énuméré") },
	{ S_ROW("logged in"), S_ROW("angemeldet"), S_ROW("connecté") },
	{ S_ROW("logged out"), S_ROW("abgemeldet"), S_ROW("déconnecté") },
	{ S_ROW("moved"), S_ROW("verschoben"), S_ROW("déplacé") },
	{ S_ROW("no mailbox is selected now"), S_ROW("jetzt ist kein Postfach ausgewählt"),
	  S_ROW("aucune boîte n'est sélectionnée à présent") },
	{ S_ROW("no messages"), S_ROW("keine Nachrichten"), S_ROW("aucun message") },
	{ S_ROW("nobody is logged in now"), S_ROW("jetzt ist niemand angemeldet"),
	  S_ROW("personne n'est connecté à présent") },
	{ S_ROW("others were stored"), S_ROW("die anderen wurden geändert"), S_ROW("les autres ont été modifiés") },
	{ S_ROW("pleased to meet you"), S_ROW("angenehm"), S_ROW("enchanté") },
	{ S_ROW("renamed"), S_ROW("umbenannt"), S_ROW("renommé") },
	{ S_ROW("searched"), S_ROW("gesucht"), S_ROW("recherche terminée") },
	{ S_ROW("selected"), S_ROW("ausgewählt"), S_ROW("sélectionné") },
	{ S_ROW("sorted"), S_ROW("sortiert"), S_ROW("trié") },
	{ S_ROW("still at it"), S_ROW("noch dabei"), S_ROW("en cours") },
	{ S_ROW("stored"), S_ROW("geändert"), S_ROW("modifié") },
	{ S_ROW("the mailbox that was selected"), S_ROW("das bisher ausgewählte Postfach"),
	  S_ROW("la boîte sélectionnée jusqu'ici") },
	{ S_ROW("these are the capabilities"), S_ROW("dies sind die Fähigkeiten"), S_ROW("voici les capacités") },
	{ S_ROW("threaded"), S_ROW("nach Gesprächen geordnet"), S_ROW("rangé par fils de discussion") },
	{ S_ROW("URLs can be signed"), S_ROW("URLs können unterschrieben werden"), S_ROW("les URL peuvent être signées") },
	{ S_ROW("until next time"), S_ROW("bis zum nächsten Mal"), S_ROW("à la prochaine") },
	{ S_ROW("this is the language now"), S_ROW("die Sprache ist jetzt Deutsch"),
	  S_ROW("la langue est maintenant le français") },
	{ S_ROW("these are the languages"), S_ROW("dies sind die Sprachen"), S_ROW("voici les langues") },
	{ S_ROW("none of these languages is spoken here"), S_ROW("keine dieser Sprachen wird hier gesprochen"),
	  S_ROW("aucune de ces langues n'est parlée ici") },
	{ S_ROW("this is how texts are compared now"), S_ROW("so werden Texte jetzt verglichen"),
	  S_ROW("voici comment les textes sont comparés à présent") },
	{ S_ROW("there is no such way to compare texts"), S_ROW("so werden Texte hier nicht verglichen"),
	  S_ROW("cette façon de comparer les textes n'existe pas ici") },
	{ S_ROW("an empty message cannot be kept"), S_ROW("eine leere Nachricht kann nicht abgelegt werden"),
	  S_ROW("un message vide ne peut être conservé") },
	{ S_ROW("the message is too large for this server"), S_ROW("die Nachricht ist zu groß für diesen Server"),
	  S_ROW("le message est trop grand pour ce serveur") },
	{ S_ROW("the message is too large to be skipped"), S_ROW("die Nachricht ist zu groß, um übergangen zu werden"),
	  S_ROW("le message est trop grand pour être ignoré") },
	{ S_ROW("there is no such mailbox, create it first"),
	  S_ROW("dieses Postfach gibt es nicht, es muss erst angelegt werden"),
	  S_ROW("cette boîte n'existe pas, créez-la d'abord") },
	{ S_ROW("there is no such mailbox"), S_ROW("dieses Postfach gibt es nicht"), S_ROW("cette boîte n'existe pas") },
	{ S_ROW("no mailbox can have that name"), S_ROW("kein Postfach kann so heißen"),
	  S_ROW("aucune boîte ne peut porter ce nom") },
	{ S_ROW("no mailbox can have such a name"), S_ROW("kein Postfach kann so heißen"),
	  S_ROW("aucune boîte ne peut porter un tel nom") },
	{ S_ROW("a mailbox of that name exists already"), S_ROW("ein Postfach dieses Namens gibt es schon"),
	  S_ROW("une boîte de ce nom existe déjà") },
	{ S_ROW("there are mailboxes below that name"), S_ROW("unter diesem Namen gibt es Postfächer"),
	  S_ROW("il y a des boîtes sous ce nom") },
	{ S_ROW("this special use is not known here"), S_ROW("diese Verwendung ist hier nicht bekannt"),
	  S_ROW("cet usage spécial n'est pas connu ici") },
	{ S_ROW("that is not allowed"), S_ROW("das ist nicht erlaubt"), S_ROW("cela n'est pas permis") },
	{ S_ROW("the account is over its quota"), S_ROW("das Konto hat keinen Platz mehr"),
	  S_ROW("le compte a dépassé son quota") },
	{ S_ROW("a limit of this server is reached"), S_ROW("eine Grenze dieses Servers ist erreicht"),
	  S_ROW("une limite de ce serveur est atteinte") },
	{ S_ROW("the server has no space left, try again later"),
	  S_ROW("der Server hat keinen Platz mehr, bitte später noch einmal versuchen"),
	  S_ROW("le serveur n'a plus de place, réessayez plus tard") },
	{ S_ROW("the account is suspended"), S_ROW("das Konto ist gesperrt"), S_ROW("le compte est suspendu") },
	{ S_ROW("log in again"), S_ROW("bitte neu anmelden"), S_ROW("reconnectez-vous") },
	{ S_ROW("somebody else is using it, try again later"),
	  S_ROW("jemand anders benutzt es gerade, bitte später noch einmal versuchen"),
	  S_ROW("quelqu'un d'autre l'utilise, réessayez plus tard") },
	{ S_ROW("stored data is damaged, the administrator finds more in the log"),
	  S_ROW("gespeicherte Daten sind beschädigt, der Verwalter findet mehr im Protokoll"),
	  S_ROW("des données sont endommagées, l'administrateur en trouvera plus dans le journal") },
	{ S_ROW("not possible at the moment, try again later"),
	  S_ROW("im Augenblick nicht möglich, bitte später noch einmal versuchen"),
	  S_ROW("impossible pour le moment, réessayez plus tard") },
	{ S_ROW("the server stops, come again in a moment"), S_ROW("der Server hält an, gleich geht es weiter"),
	  S_ROW("le serveur s'arrête, revenez dans un instant") },
	{ S_ROW("silent for too long"), S_ROW("zu lange nichts gehört"), S_ROW("silencieux trop longtemps") },
	{ S_ROW("too many malformed commands"), S_ROW("zu viele fehlerhafte Befehle"),
	  S_ROW("trop de commandes mal formées") },
	{ S_ROW("too many failed logins"), S_ROW("zu viele missglückte Anmeldungen"), S_ROW("trop d'échecs de connexion") },
	{ S_ROW("too many failed logins, try again later"),
	  S_ROW("zu viele missglückte Anmeldungen, bitte später noch einmal versuchen"),
	  S_ROW("trop d'échecs de connexion, réessayez plus tard") },
	{ S_ROW("the selected mailbox was deleted"), S_ROW("das ausgewählte Postfach wurde gelöscht"),
	  S_ROW("la boîte sélectionnée a été supprimée") },
	{ S_ROW("what changed is not known any more, ask for notifications again"),
	  S_ROW("was sich geändert hat, ist nicht mehr bekannt, bitte neu um Nachricht bitten"),
	  S_ROW("les changements ne sont plus connus, redemandez les notifications") },
	{ S_ROW("wrong user or password"), S_ROW("Benutzer oder Kennwort falsch"),
	  S_ROW("utilisateur ou mot de passe incorrect") },
	{ S_ROW("logins are not possible at the moment, try again later"),
	  S_ROW("Anmeldungen sind im Augenblick nicht möglich, bitte später noch einmal versuchen"),
	  S_ROW("les connexions sont impossibles pour le moment, réessayez plus tard") },
	{ S_ROW("passwords only cross this connection under TLS"),
	  S_ROW("Kennwörter gehen hier nur unter TLS über die Leitung"),
	  S_ROW("les mots de passe ne passent ici que sous TLS") },
	{ S_ROW("acting for somebody else is not possible"), S_ROW("für jemand anders zu handeln ist nicht möglich"),
	  S_ROW("agir pour quelqu'un d'autre n'est pas possible") },
	{ S_ROW("this mechanism is not known here"), S_ROW("dieses Verfahren ist hier nicht bekannt"),
	  S_ROW("ce mécanisme n'est pas connu ici") },
	{ S_ROW("TLS is not available here"), S_ROW("TLS gibt es hier nicht"), S_ROW("TLS n'est pas disponible ici") },
	{ S_ROW("TLS is on already"), S_ROW("TLS ist schon an"), S_ROW("TLS est déjà actif") },
	{ S_ROW("a part of these messages has a transfer encoding that is not known here"),
	  S_ROW("ein Teil dieser Nachrichten ist auf eine Weise kodiert, die hier nicht bekannt ist"),
	  S_ROW("une partie de ces messages a un encodage de transfert inconnu ici") },
	{ S_ROW("some of these messages are gone"), S_ROW("einige dieser Nachrichten gibt es nicht mehr"),
	  S_ROW("certains de ces messages n'existent plus") },
	{ S_ROW("the mailbox is open for reading only"), S_ROW("das Postfach ist nur zum Lesen geöffnet"),
	  S_ROW("la boîte est ouverte en lecture seule") },
	{ S_ROW("there is no message of that number"), S_ROW("eine Nachricht dieser Nummer gibt es nicht"),
	  S_ROW("il n'y a pas de message de ce numéro") },
	{ S_ROW("too many of these messages were changed meanwhile"),
	  S_ROW("zu viele dieser Nachrichten wurden inzwischen geändert"),
	  S_ROW("trop de ces messages ont été modifiés entre-temps") },
	{ S_ROW("this charset is not known here"), S_ROW("dieser Zeichensatz ist hier nicht bekannt"),
	  S_ROW("ce jeu de caractères n'est pas connu ici") },
	{ S_ROW("the text is not in this charset"), S_ROW("der Text ist nicht in diesem Zeichensatz"),
	  S_ROW("le texte n'est pas dans ce jeu de caractères") },
	{ S_ROW("the text to search for is too long"), S_ROW("der gesuchte Text ist zu lang"),
	  S_ROW("le texte recherché est trop long") },
	{ S_ROW("parentheses, NOT and OR may nest 64 deep"), S_ROW("Klammern, NOT und OR dürfen 64 Ebenen tief sein"),
	  S_ROW("les parenthèses, NOT et OR peuvent s'emboîter 64 fois") },
	{ S_ROW("at most 1000 search keys"), S_ROW("höchstens 1000 Suchbedingungen"),
	  S_ROW("au plus 1000 critères de recherche") },
	{ S_ROW("there is no such quota root"), S_ROW("diese Quota gibt es nicht"), S_ROW("ce quota n'existe pas") },
	{ S_ROW("only an administrator changes quotas"), S_ROW("Quotas ändert nur der Verwalter"),
	  S_ROW("seul l'administrateur modifie les quotas") },
	{ S_ROW("limits are of STORAGE, MESSAGE and MAILBOX"), S_ROW("Grenzen gibt es für STORAGE, MESSAGE und MAILBOX"),
	  S_ROW("les limites portent sur STORAGE, MESSAGE et MAILBOX") },
	{ S_ROW("DEFLATE active"), S_ROW("DEFLATE ist an"), S_ROW("DEFLATE actif") },
	{ S_ROW("DEFLATE is active already"), S_ROW("DEFLATE ist schon an"), S_ROW("DEFLATE est déjà actif") },
	{ S_ROW("DEFLATE is the only algorithm"), S_ROW("DEFLATE ist das einzige Verfahren"),
	  S_ROW("DEFLATE est le seul algorithme") },
	{ S_ROW("an entry has a name below /private or /shared"), S_ROW("ein Eintrag heißt /private/... oder /shared/..."),
	  S_ROW("une entrée a un nom sous /private ou /shared") },
	{ S_ROW("this entry is set by the server's configuration"),
	  S_ROW("dieser Eintrag steht in der Konfiguration des Servers"),
	  S_ROW("cette entrée est fixée par la configuration du serveur") },
	{ S_ROW("the value is too long"), S_ROW("der Wert ist zu lang"), S_ROW("la valeur est trop longue") },
	{ S_ROW("there are too many entries, or they are too long together"),
	  S_ROW("es sind zu viele Einträge, oder sie sind zusammen zu lang"),
	  S_ROW("il y a trop d'entrées, ou elles sont trop longues ensemble") },
	{ S_ROW("only an administrator sets entries that all share"), S_ROW("Einträge für alle setzt nur ein Verwalter"),
	  S_ROW("seul un administrateur fixe les entrées communes") },
	{ S_ROW("these are no special uses that are known here"), S_ROW("diese Verwendungen sind hier nicht bekannt"),
	  S_ROW("ces usages spéciaux ne sont pas connus ici") },
	{ S_ROW("there are no such events here"), S_ROW("solche Ereignisse gibt es hier nicht"),
	  S_ROW("de tels événements n'existent pas ici") },
	{ S_ROW("you will be told"), S_ROW("Änderungen werden mitgeteilt"), S_ROW("vous serez averti") },
	{ S_ROW("nothing will be told"), S_ROW("nichts wird mitgeteilt"), S_ROW("rien ne sera annoncé") },
	{ S_ROW("there is no such filter"), S_ROW("diesen Filter gibt es nicht"), S_ROW("ce filtre n'existe pas") },
	{ S_ROW("the search does not read with the text of its filters"),
	  S_ROW("mit dem Text der Filter ergibt die Suche keinen Sinn"),
	  S_ROW("la recherche est illisible avec le texte de ses filtres") },
	{ S_ROW("at most 1000 names of mailboxes, or PERSONAL or SUBTREE"),
	  S_ROW("höchstens 1000 Namen von Postfächern, oder PERSONAL oder SUBTREE"),
	  S_ROW("au plus 1000 noms de boîtes, ou PERSONAL ou SUBTREE") },
	{ S_ROW("a command is a tag, a space and a word"), S_ROW("ein Befehl ist eine Marke, ein Leerzeichen und ein Wort"),
	  S_ROW("une commande est une étiquette, une espace et un mot") },
	{ S_ROW("there is no such command"), S_ROW("diesen Befehl gibt es nicht"), S_ROW("cette commande n'existe pas") },
	{ S_ROW("log in first"), S_ROW("bitte erst anmelden"), S_ROW("connectez-vous d'abord") },
	{ S_ROW("select a mailbox first"), S_ROW("bitte erst ein Postfach auswählen"),
	  S_ROW("sélectionnez d'abord une boîte") },
	{ S_ROW("you are logged in already"), S_ROW("schon angemeldet"), S_ROW("vous êtes déjà connecté") },
	{ S_ROW("too many arguments"), S_ROW("zu viele Argumente"), S_ROW("trop d'arguments") },
	{ S_ROW("this command takes no arguments"), S_ROW("dieser Befehl hat keine Argumente"),
	  S_ROW("cette commande ne prend pas d'argument") },
	{ S_ROW("this command takes a mailbox name"), S_ROW("dieser Befehl hat den Namen eines Postfachs als Argument"),
	  S_ROW("cette commande prend un nom de boîte") },
	{ S_ROW("that is not base64"), S_ROW("das ist kein Base64"), S_ROW("ce n'est pas du base64") },
	{ S_ROW("malformed message of this mechanism"), S_ROW("fehlerhafte Nachricht dieses Verfahrens"),
	  S_ROW("message mal formé de ce mécanisme") },
	{ S_ROW("malformed search"), S_ROW("fehlerhafte Suche"), S_ROW("recherche mal formée") },
	{ S_ROW("that is not the name of a header field"), S_ROW("so heißt kein Kopffeld"),
	  S_ROW("ce n'est pas le nom d'un champ d'en-tête") },
	{ S_ROW("after ENABLE UTF8=ACCEPT a search is in UTF-8"), S_ROW("nach ENABLE UTF8=ACCEPT sind Suchen in UTF-8"),
	  S_ROW("après ENABLE UTF8=ACCEPT une recherche est en UTF-8") },
	{ S_ROW("IDLE ends with DONE"), S_ROW("IDLE endet mit DONE"), S_ROW("IDLE se termine par DONE") },
	{ S_ROW("ENABLE QRESYNC comes first"), S_ROW("erst kommt ENABLE QRESYNC"), S_ROW("ENABLE QRESYNC vient d'abord") },
	{ S_ROW("ENABLE takes capabilities"), S_ROW("ENABLE hat Fähigkeiten als Argumente"),
	  S_ROW("ENABLE prend des capacités") },
	{ S_ROW("LANGUAGE takes languages"), S_ROW("LANGUAGE hat Sprachen als Argumente"),
	  S_ROW("LANGUAGE prend des langues") },
	{ S_ROW("COMPARATOR takes the names of collations"), S_ROW("COMPARATOR hat Namen von Vergleichen als Argumente"),
	  S_ROW("COMPARATOR prend des noms de collations") },
	{ S_ROW("APPEND ends after one message"), S_ROW("APPEND endet nach einer Nachricht"),
	  S_ROW("APPEND se termine après un message") },
	{ S_ROW("a NUL cannot be in a literal"), S_ROW("in einem Literal kann kein NUL stehen"),
	  S_ROW("un NUL ne peut figurer dans un littéral") },
	{ S_ROW("message numbers are not used after ENABLE UIDONLY"),
	  S_ROW("nach ENABLE UIDONLY gelten keine Nachrichtennummern"),
	  S_ROW("après ENABLE UIDONLY les numéros de messages ne servent plus") },
	{ S_ROW("Other Users"), S_ROW("Andere Benutzer"), S_ROW("Autres utilisateurs") },
	{ S_ROW("Shared"), S_ROW("Gemeinsame Postfächer"), S_ROW("Boîtes partagées") },
	{ S_ROW("replaced"), S_ROW("ersetzt"), S_ROW("remplacé") },
	{ S_ROW("the message is gone already"), S_ROW("die Nachricht ist schon weg"),
	  S_ROW("le message n'existe déjà plus") },
	{ S_ROW("there is no such message, or part of one"), S_ROW("diese Nachricht oder diesen Teil gibt es nicht"),
	  S_ROW("ce message ou cette partie n'existe pas") },
	{ S_ROW("the messages of one command are too large together"),
	  S_ROW("zusammen sind die Nachrichten eines Befehls zu groß"),
	  S_ROW("les messages d'une commande sont trop grands ensemble") },
	{ S_ROW("too many messages in one command"), S_ROW("zu viele Nachrichten in einem Befehl"),
	  S_ROW("trop de messages dans une commande") },
	{ S_ROW("too many parts in one command"), S_ROW("zu viele Teile in einem Befehl"),
	  S_ROW("trop de parties dans une commande") },
};

struct slice
lang_tag(enum lang lang)
{
	return langs[lang].tag;
}

struct slice
lang_name(enum lang lang)
{
	return langs[lang].name;
}

enum lang
lang_preferred(struct slice word)
{
	enum lang lang = LANG_DEFAULT;
	(void)lang_of_range(word, LANG_DEFAULT, &lang);
	return lang;
}

/* RFC 4647 3.4: the last subtag is taken off until something is left that is known, and a single letter before it. */
bool
lang_of_range(struct slice range, enum lang preferred, enum lang *lang)
{
	*lang = preferred;
	if (slice_equal_nocase(range, S("default")) || slice_equal(range, S("*")))
		return true;
	while (range.len) {
		for (size_t i = 0; i < LANG_COUNT; i++) {
			if (slice_equal_nocase(range, langs[i].tag)) {
				*lang = (enum lang)i;
				return true;
			}
		}
		ptrdiff_t dash = slice_find_last_char(range, '-');
		range.len = dash < 0 ? 0 : (size_t)dash;
		if (range.len > 2 && range.at[range.len - 2] == '-')
			range.len -= 2;
	}
	return false;
}

struct slice
lang_text(enum lang lang, struct slice english)
{
	if (lang <= LANG_EN)
		return english;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		if (slice_equal(texts[i].en, english))
			return lang == LANG_DE ? texts[i].de : texts[i].fr;
	return english;
}

struct slice
lang_response(enum lang lang, struct slice response, struct arena *a)
{
	struct slice word, text;
	if (lang <= LANG_EN || !slice_cut(response, ' ', &word, &text))
		return response;
	ptrdiff_t code = slice_starts(text, S("[")) ? slice_find(text, S("] ")) + 2 : 0;
	if (code == 1) /* no end of the code */
		return response;
	struct slice before = slice_part(response, 0, word.len + 1 + (size_t)code);
	return arena_join(a, before, lang_text(lang, slice_from(text, (size_t)code)));
}
