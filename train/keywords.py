"""The baseline an analyst writes in an afternoon: keyword lists with negation.

The tables hold regular expressions over lower-cased text; ``<n>`` stands for up to n words. A stance is the
side whose keywords weigh more outside subordinate clauses. A signal is on when one of its patterns matches
and no negation, call for restraint, other field or outsider's forecast switches it off. Nothing is learned.
"""

import re
from collections.abc import Iterable, Sequence

from brinkline.model.labels import SIGNALS, STANCES

HOSTILE, NEUTRAL, CONCILIATORY = STANCES
RETALIATION = SIGNALS[2]

# Nothing longer is a sentence; the limit also bounds the time that any input can take.
_LONGEST = 2000
_NEGATION_WINDOW = 34

_HARM = (
    r"(?:attack|strike|hit|bomb|shell|destroy|crush|punish|retaliate|avenge|expel|close|shut|cut|ban|bar|"
    r"block|seize|sink|shoot|fire|burn|arrest|recall|freeze|suspend|impose|sever|withhold|halt|double|raid|"
    r"storm|bury|kill|pull|quit|tear|drive|answer|respond|fight|veto|isolate)"
)
_HARMED = (
    r"(?:attacked|struck|hit|bombed|shelled|destroyed|crushed|punished|avenged|expelled|closed|shut|cut|"
    r"banned|barred|blocked|seized|sunk|shot|fired|burned|arrested|recalled|frozen|suspended|imposed|halted|"
    r"raided|killed|hanged|torn|thrown|driven|sent home|answered|met|treated|turned (?:back|off|out)|put|"
    r"regarded|dealt|paid|made|taken|held|repelled|lost)"
)


def _table(*sources: str) -> tuple[re.Pattern[str], ...]:
    compiled = []
    for source in sources:
        filled = source.replace("<harm>", _HARM).replace("<harmed>", _HARMED)
        filled = re.sub(r"<(\d)>", r"(?:[\\w'-]+ ){0,\1}", filled)
        compiled.append(re.compile(rf"\b(?:{filled})"))
    return tuple(compiled)


HOSTILE_ACTS = _table(
    r"attack(?:ed|s|ing) (?!on\b|by\b)",
    r"(?:attack|strike|raid|assault|ambush|crackdown|war of aggression|offensive) (?:on|against|"
    r"targeting)\b|bomb(?:ed|s|ing|ards?|arded|arding|ardment)\b|car bomb|air ?strikes?\b|shell(?:ed|ing)\b",
    r"rocketed\b|strafed\b|mortar(?:ed|s)?\b|pounded\b|ambush(?:ed|es)\b",
    r"(?:fir(?:ed|es|ing)|launch(?:ed|es|ing)) (?:\w+[ -]){0,4}(?:missiles?|rockets?|shots?|rounds?|"
    r"shells?|drones?|tear gas)|(?:opened|open|opening|returned|traded|exchanged|under|came under) fire\b",
    r"fired (?:at|on|upon|back)\b",
    r"(?:kill(?:ed|s|ing)|murder(?:ed|s|ing)|assassinat\w+|massacr\w+|execut(?:ed|ing)|hanged|beheaded|"
    r"tortured)\b|shot (?:down|dead|at|and)\b|blew up|blown up|set (?:fire to|alight|ablaze)|torched",
    r"invad(?:e|ed|es|ing)\b|invasion of|overran\b|storm(?:ed|ing) |seiz(?:ed|es|ing)\b|kidnap\w*|abduct\w*",
    r"(?:arrest|detain|jail|imprison|round)ed (?!by investig)(?:\w+ )|expel(?:led|s|ling)?\b|expulsions?\b",
    r"(?:impos|slap|levied|announc|widen|tighten|extend)\w* (?:\w+[ -]){0,5}(?:sanctions?|tariffs?|embargo|"
    r"ban|duty|duties|curbs|penalties)|sanction(?:ed|ing)\b|sanctions (?:on|against)|blacklist\w*|froze\b",
    r"froz?en? <4>(?:assets|accounts|funds)|persona non grata",
    r"(?:banned|barred|blocked|blockad(?:ed|es|ing)|boycott(?:ed|s|ing)?|cut off|shut off|turned off|"
    r"vetoed)\b|(?:recall|withdr[ae]w|summon)\w* <4>(?:ambassador|charg|envoy)",
    r"(?:broke|severed|cut|breaking) (?:off )?<3>(?:relations|ties)",
    r"(?:closed|sealed|shut) <4>(?:border|frontier|ports?|airspace|air space|consulate|embassy|crossing)",
    r"(?:jets|warplanes|aircraft|gunners|bombers|helicopters|tanks|gunboats|howitzers) <2>(?:hit|struck|"
    r"bomb|attack|shell|pound|fir)\w*",
    r"(?:scrambled|intercepted|buzzed|jammed|rammed|sank|sunk|boarded|violated|breach(?:ed|es|ing)|"
    r"raided)\b",
    r"(?:protest(?:ers|ed|ing|s)?|demonstrat(?:ors|ed)|rall(?:y|ied)|march(?:ed|ers)|rioters|strikers) "
    r"<5>(?:against|outside|clashed|demanding|chant|burn|at the)|clash(?:ed|es)\b|tore up|torn up",
    r"renounc(?:ed|es) |walk-?out\b|hacked\b|cyber-?attack|sabotag\w+",
    r"burn(?:ed|t) (?:the|a|down|two|three|several|an)|destroyed\b",
    r"(?:kill|bomb|shell|expel|clos|halt|seiz|storm|blockad)(?:s|es) |embargo on",
)
HOSTILE_SPEECH = _table(
    r"accus(?:e[ds]?|ing)\b|blam(?:e[ds]?|ing)\b (?!game)|charged that|denounc(?:e[ds]?|ing)\b",
    r"condemn(?:ed|s|ing)?\b|deplor(?:e[ds]?|ing)\b|slammed\b|lambast\w+|reject(?:ed|s|ing|ion)?\b",
    r"refus(?:e[ds]?|ing|al)\b|rebuff\w*|dismissed (?:the|a|as|any|all)|spurned\b",
    r"demand(?:ed|s|ing) (?:that|the|an?|its|his|their|of|to)|vow(?:ed|s|ing)? (?:to|that|revenge|not)",
    r"protest(?:ed|s|ing) <1>(?:to|against|over|at)\b|lodged <3>(?:protest|complaint)|note of protest",
    r"strong(?:ly)? protest|hold <6>(?:accountable|responsible|to account)",
    r"(?:must|has to|have to|should) (?:immediately |at once )?(?:stop|cease|end|withdraw|leave|halt|get "
    r"out|go)\b",
    r"(?:will|would|shall|can|could) (?:not|never) (?:accept|tolerate|recogni[sz]e|allow|permit|yield|"
    r"surrender|forgive|be (?:blackmailed|intimidated|tolerated))|null and void|war crimes?\b|genocid\w+",
    r"violat(?:es|ing|ions? of) <3>(?:international law|sovereignty|cease-?fire|charter|airspace|treaty|"
    r"agreement|resolution)",
    r"(?:hypocri\w+|liars?\b|lies about|double standards?|puppets?\b|lackeys|imperialis\w+|fascis\w+|"
    r"neo-?nazis?|nazis?\b|warmonger\w*)|shame on|(?:lashed|hit) out",
    r"threaten(?:s|ed|ing)? (?:to|that|it|them|him|war|economic|further|with)\b|complain(?:ed|s|ing)?\b",
    r"summoned\b|accusations?\b|atrocit\w+",
)
HOSTILE_NOUNS = _table(
    r"aggression\b|aggressors?\b|regime\b|unprovoked|brutal(?:ly|ity)?\b|war (?:on|against|machine)\b",
    r"illegal (?:war|annex|occup|sanction|attempt|action)\w*|(?:impos\w+|severe|economic|raise) <3>costs?\b",
    r"sanctions\b|against (?:ukrain|russia|israel|civilian|the government|our people)\w*",
    r"(?:attempts?|trying|seek(?:s|ing)?|plans?|designed) to <1>(?:undermine|destroy|destabili[sz]e|weaken|"
    r"contain|impose|overthrow|divide|force|blackmail)|genocide|ethnic cleansing|provocat\w+|unacceptable\b",
    r"hostil(?:e act|ities against)\w*|irresponsible\b|unlawful\b|cynical\w*",
    r"(?:blockade|siege|occupation|seizure|incursion|barrage|raids?|shelling|crackdown|coup|embargo|"
    r"uprising|intifada)\b|(?:in response|in reply|in answer) to",
    r"(?:because|on account) of (?:the|its|their|what|that)",
    r"(?:killing|wounding|injuring) (?:at least |some |about |more than )?(?:\w+|\d+) <1>(?:people|"
    r"civilians|soldiers|police|children|others|guards|men)",
)
CONCILIATORY_ACTS = _table(
    r"offer(?:ed|s|ing)? (?:to|its|his|their|a|an|the|talks|help|condolences|aid)\b",
    r"(?:has|have|had) offered\b|agree(?:d|s|ing)? (?:to|on|in|that|with)\b",
    r"(?:reach|sign|conclud|ratif|initial)\w* <5>(?:agreements?|accords?|treaty|deal|pact|truce|memorandum|"
    r"understanding|compact)|accept(?:ed|s|ing)? (?:the|an?|its|his|their|our|in|with)\b",
    r"(?:met|meets|meeting) <1>(?:with|at|in|for|his|her|privately)\b (?!front|resist|response|consequence)",
    r"talks? (?:with|between|resumed|opened|began|continued|in|on|at)\b|sat down",
    r"sit(?:ting)? down (?:with|together|to)|at the (?:negotiating |same )?table",
    r"negotiat(?:ed|es|ing|ions?|ors?)\b|mediat(?:ed|es|ing|ion|ors?)\b|good offices|go-?between",
    r"shuttl(?:ed|ing)|brokered|(?:tele)?phoned\b",
    r"(?:spoke|spoken|speak|conversation) <2>(?:with|by (?:tele)?phone|to his|to her|on the phone)",
    r"(?:tele)?phone (?:call|conversation)|hosted\b|amnest\w+|apologi[sz](?:ed|es|e|ing)\b|apology\b",
    r"express(?:ed|es|ing)? <4>(?:regret|sorrow|condolences|sympathy|gratitude|thanks|appreciation|hope|"
    r"support|solidarity|readiness|willingness)",
    r"(?:cease-?fire|truce|armistice|peace (?:deal|accord|agreement|treaty|plan|talks|process|proposal|"
    r"settlement|conference|initiative))\b|donat(?:ed|es|ing)\b",
    r"(?:sent|sending|send|flew|shipped|deliver\w*|provid\w+|pledg\w+|allocat\w+) <6>(?:aid|assistance|"
    r"help|food|medicine|blankets|grain|wheat|relief|loans?|doctors|tents|supplies|support|funding)\b",
    r"shook hands|embrac(?:ed|es) |olive branch|hot-?line|invit(?:ed|es|ing|ation)\b",
    r"mutual (?:respect|understanding|trust|benefit|interest)\w*|mutually",
    r"(?:relief|humanitarian) <1>(?:aid|assistance|supplies|flights|help)",
    r"let <4>(?:go|through|across|pass|home)\b|complied\b|dropped its",
)
CONCILIATORY_SPEECH = _table(
    r"thank(?:ed|s|ing)? (?:the|you|him|her|his|its|both|them|all|president|for|to)\b|grateful\b",
    r"gratitude\b|urged both|appreciat(?:e[ds]?|ion)\b|prais(?:e[ds]?|ing)\b|commend(?:ed|s|ing)?\b",
    r"welcom(?:e[ds]?|ing)\b|applaud(?:ed|s)?\b|congratulat\w+|paid tribute|greet(?:ed|s|ings)?\b",
    r"(?:appeal|call|plead)(?:ed|s|ing)? <6>(?:for|to) <6>(?:calm|restraint|peace|dialogue|talks|"
    r"cease-?fire|truce|de-?escalat\w+|an end to|refrain|lay down)",
    r"(?:no|any|without) <1>(?:intention|wish|desire|plans?|design|quarrel|claim|interest)s? (?:of|to|with|"
    r"against|on|for|in)\b|nothing against",
    r"(?:is|are|was|were|be|remain(?:s|ed)?|stands?|stood) <2>(?:ready|prepared|willing|open) <1>(?:to|"
    r"for) <2>(?:talk|meet|discuss|negotiat|help|cooperat|dialogue|sit|work|accept|consider|assist|go|"
    r"listen|receive|resume|mediat|provide|offer)\w*",
    r"propos(?:ed|es|ing|als?)\b|invited\b|assur(?:ed|es|ing|ances?)\b|solidarity\b|as long as it takes",
    r"(?:full|continued|unwavering|strong|steadfast) support|re-?affirm(?:ed|s|ing)?\b",
    r"reiterat\w+ <4>(?:commitment|support)|commit(?:ted|ment|ments)? to\b",
    r"(?:hope[ds]?|look(?:s|ed|ing)? forward|confident) <5>(?:relations|talks|peace|dialogue|cooperation|"
    r"agreement|together|work|meet)\w*",
    r"(?:our|my|their|its|his) <1>(?:friends?|friendship|partners?|allies|ally|neighbou?rs|brothers|"
    r"colleagues)\b|brotherly|fraternal",
    r"(?:both|two) (?:sides|leaders|governments|presidents|countries|parties|capitals|ministers|nations) "
    r"<2>(?:agreed|discuss\w*|express\w*|welcom\w*|intend|emphasi\w+|stress\w*|not(?:e|ed)|shar\w+|plan|"
    r"concur\w*|will|decid\w+)",
    r"work(?:ed|ing|s)? <1>(?:together|closely|jointly)",
    r"peaceful(?:ly)? (?:settle|resol|solution|means|co-?exist)\w*|peacefully",
    r"will (?:continue to )?(?:support|help|assist|provide|work with|cooperate|honou?r)\b",
    r"(?:support|supports|supported|supporting) (?:for )?(?:ukraine|the (?:people|efforts|government|"
    r"sovereignty|peace)|its|their|our)\b|(?:does|do|did) not want\b|forg[ai]ve\w*",
    r"(?:as|our|are|were|two) brothers\b|respect for|(?:we|i|president|states|it) <1>supports?\b",
    r"asked? (?:both|the two|all)",
)
CONCILIATORY_NOUNS = _table(
    r"co-?operat(?:ion|e|ed|es|ing|ive)\b|partnership\b|collaborat\w+|alliance\b|friend(?:ly|ship)\b",
    r"interaction (?:with|between|within)|bilateral\b|dialogue\b|constructive\w*|reconcil\w+|d[eé]tente",
    r"normali[sz]\w+|good ?will|de-?escalat\w*|consultations?\b|security guarantees?|binding\b",
    r"joint (?:statement|efforts|work|projects?|communiqu\w+|declaration|exercises?)|counterparts?\b",
    r"strategic partner\w*",
    r"strengthen(?:ing|ed|s)? <4>(?:cooperation|relations|partnership|ties|bonds?|capabilit\w+|resilience|"
    r"dialogue|alliance|capacity|security)|deepen\w*|relations (?:with|between|are|have)\b",
    r"(?:for|of) peace\b|peace and (?:stability|security)|just peace|sovereignty and territorial integrity",
    r"(?:both|the two|all) (?:sides|parties|governments|peoples|capitals|concerned|leaders|countries|"
    r"presidents)\b|shared (?:values|commitment|interests|vision|future)",
    r"help(?:ed|s|ing)? (?:ukraine|the people|them|our|to (?:rebuild|resolve|end))",
    r"(?:our|shared|joint|mutual) commitments?",
    r"democratic and prosperous|free,? (?:and )?(?:sovereign|open|democratic)",
)
THREAT_PATTERNS = _table(
    r"threat(?:ens?|ened|ening) (?:to|that|with|it|them|war|economic|retaliat\w*|sanctions|reprisals?|"
    r"force|further|more|new|him|the|\w+ with)\b",
    r"(?:vow(?:ed|s|ing)?|swor[en]|swear(?:s|ing)?|pledg(?:ed|es)|promis(?:ed|es|ing)) <3>(?:revenge|"
    r"vengeance|to (?:retaliate|avenge|hit|strike|crush|punish|destroy|respond|fight|make|kill|turn|burn|"
    r"pursue|continue (?:the )?(?:attack|strike)))",
    r"(?:serious|severe|grave|dire|swift|unspecified|heavy|catastrophic|all the|face(?:s|d)?|suffer|bear|"
    r"further) <1>consequences",
    r"there (?:will|would) be <1>(?:consequences|a price|a reckoning|hell|war|no (?:mercy|forgiv\w+|talks|"
    r"oil|gas|peace))|be sorry\b|or else\b|failing which",
    r"(?:gave|given|giving|gives|has|have|had) <4>(?:hours|days|week|until|till) <6>(?:to|or|before)\b "
    r"<3>(?:leave|withdraw|quit|go|get|hand|free|release|pull|clear|surrender|lay|come|be|end|stop|lift|"
    r"comply|face)",
    r"all options <3>(?:on|open)",
    r"(?:would|will|shall) (?:not|never) (?:hesitate|shrink|flinch|stand idly|sit idly|stand by|look on|"
    r"remain (?:idle|silent|indifferent|a spectator)|stop (?:there|at|until)|rest until|think twice)",
    r"(?:will|would|shall|to) be (?:treated as|regarded as|considered|taken as|deemed|met (?:with|by)|"
    r"dealt with|fired (?:on|upon)|shot (?:down|at|on)|sunk|answered|brought down|repelled|crushed|hunted|"
    r"held (?:responsible|accountable|to account))",
    r"(?:prepared|ready|poised|resolved|determined|stand ready|continue) to (?:impose|take (?:further|"
    r"military|additional|all|any|stronger|tougher|other) <2>(?:measures|steps|action)|strike|use force|"
    r"retaliate|bomb|raise the costs?|go to war|fight|hit|respond)",
    r"(?:we|alliance|allies|states|union|it|they|and) will <5>(?:impose|hold \w+ <3>(?:accountable|"
    r"responsible|to account)|isolate|cut off|punish|retaliate|destroy)\b|will be imposing",
    r"(?:would|will) (?:recommend <4>veto|veto)|veto threat|had better (?:not )?\w+",
    r"(?:would|will|shall) <1>find (?:itself|themselves|himself|out|that|the|its|no)\b",
    r"(?:will|would|shall|'ll) <2><harm>\b.{0,120}\b(?:unless|if|until|should|whoever)\b",
    r"(?:will|would|shall|'ll) <1>be <harmed>\b.{0,120}\b(?:unless|if|until|should|whoever|any)\b",
    r"(?:unless|until|if|should|whoever|any)\b.{1,120}(?:will|would|shall|'ll) <1>be <harmed>\b",
    r"(?:would|will|to|be) .{1,120}\bunless\b|unless .{1,120}\b(?:will|would|shall|threaten)",
    r"or (?:be|see|face|lose|else)\b|(?:should|if) <8>not\b.{1,120}\b(?:will|would|shall)\b",
    r"(?:will|would|shall)\b.{1,120} (?:should|if) <8>not\b|until the last\b|to the last man|on notice",
    r"should (?:know|bear) |(?:will|would) be avenged",
)
DETERRENCE_PATTERNS = _table(
    r"dissuad\w+|send\w* <2>message (?:to|that)|strong signal|red lines?\b|trip-?wire|every inch\b",
    r"(?:iron-?clad|unshakea?ble|mutual defen[cs]e) <1>(?:commitment|guarantee|alliance|treat)\w*",
    r"(?:whoever|anyone|anybody|whosoever|he who|those) (?:who )?(?:[\w'-]+ ){0,14}(?:will|would|shall|"
    r"should|must|may)\b|think twice|tempted to|(?:be|being|is|are|not|feel) tempted|miscalculat\w+",
    r"(?:nobody|no one|none) <6>(?:should|would|need|be|will|may|might|shall|can|could) <3>(?:try|think|"
    r"doubt|imagine|mistake|dare|tempt\w*|fancy|attack|believe|suppose|under any illusion)",
    r"(?:will|would|shall|should|can|could) (?:not|never) (?:be (?:tolerated|allowed|permitted|left|alone)|"
    r"tolerate|permit|allow|stand (?:by|idle))|not put up with",
    r"(?:from now on|henceforth|in future|next time|a second time|from this (?:day|moment)|the day (?:that "
    r")?(?:they|it|he|she)|so much as)\b",
    r"(?:deploy|station|post|mov|sent|sail|steam|flew|flown|station|exercis|drill|manoeuv|maneuv|patrol|"
    r"test)\w* (?:[\w,'-]+ ){0,12}(?:to (?:reassure|remind|show|warn|make (?:it )?(?:plain|clear)|let \w+ "
    r"(?:know|see))|as a (?:warning|reminder|deterrent|signal)|by way of (?:a )?warning|in order that|so "
    r"that)",
    r"(?:to|and|would|will|could) (?:\w+ )?deter\b|(?:deterring|deters|deterred)\b",
    r"(?:as a|extended|credible|nuclear) deterren(?:t|ce)\b|deterrence and defen[cs]e",
    r"(?:if|should|whoever|anyone who|any)\b.{5,90}\b(?:again|second|attack\w*|cross\w*|invade\w*|touch\w*|"
    r"one more|tr(?:y|ies)|another|comes?|enter\w*)\b.{0,80}\b(?:will|would|shall)\b",
    r"(?:will|would|shall)\b.{5,90}\b(?:if|should|whoever|any)\b.{0,50}\b(?:again|second|attack\w*|"
    r"cross\w*|invade\w*|touch\w*|one more|tr(?:y|ies)|another|comes?|enter\w*)\b",
    r"(?:any|another|next|one more|further|whoever|whatever)\b.{3,80}\b(?:will|would|shall) <1>(?:be|have|"
    r"bring|find|cost|meet|lead|mean|invoke)\b",
    r"(?:that|an?|the next) (?:attack|landing|march|hand|launch|move|step|strike|crossing|blow|blockade|"
    r"invasion|raid)\b.{3,80}\b(?:will|would|shall) <1>(?:be|have|bring|find|cost|meet|lead|mean|invoke|"
    r"not)\b",
    r"(?:so that|so|in order that|lest|that) (?:nobody|no one|anyone|anybody|whoever|they|others|the other "
    r"side|the next)\b.{0,60}\b(?:think|try|tempt\w*|imagine|forget|know|again|see|dare|understand|attack|"
    r"come|mistake|doubt)",
    r"(?:so|in order) that no\b|every (?:yard|foot|met(?:re|er)) of|article (?:5|v|five)\b",
)
RETALIATION_PATTERNS = _table(
    r"(?<!no )(?:in|as|by way of|by) <2>(?:retaliation|reprisal|revenge|vengeance)s?\b",
    r"retaliat(?:ed|es|ing|ion|ory)\b (?:for|with|by|against|strike|attack|tariff|dut|measure|sanction|"
    r"action|raid|ban|after|at|over|on)\w*|retaliated\b|aveng(?:ed|es|ing)\b",
    r"(?:hit|struck|hits|hitting|strikes?|striking|paid|pay|fired|firing|shot|shoot) <2>back\b(?! (?:of|to|"
    r"from|in))|return(?:ed|s|ing)? (?:the )?fire|tit[- ]for[- ]tat|one for one",
    r"get(?:ting)? even",
    r"(?:because|since|for|after|what) <6>had <2>(?:killed|shot|shelled|bombed|expelled|burned|arrested|"
    r"seized|hanged|attacked|fired|closed|banned|cut|raided|sunk|thrown out|turned out|imposed|barred|"
    r"blown up|hit|struck|rocketed|blocked|detained|jailed|kidnapped)",
    r"(?:its|his|their|our|the|tehran's|moscow's|beijing's|israel's) (?:answer|reply|response|riposte|"
    r"retort) (?:to|was|is|came|for)\b (?!a question|questions|the question|your)",
    r"(?:answer|reply|response) (?:came|was not long|followed|to the <2>(?:attack|raid|bombing|killing|ban|"
    r"shelling|expulsion|seizure|strike|arrest|sanctions|tariff))|silenced (?:the|a|two|three|its)",
    r"(?:vow|swor|promis|pledg|threaten)\w* <2>(?:retaliat\w+|avenge|revenge)",
    r"in (?:response|answer|reply|retaliation|return|reaction|revenge|reprisal) (?:to|for) <6>(?:attack|"
    r"raid|killing|bombing|shelling|strike|expulsion|sanctions?|tariffs?|seizure|arrest|ban|burning|"
    r"shooting|missiles?|drones?|blast|murder|blockade|closure|embargo|ambush)s?\b",
    r"in the same coin|the price of (?:the|that|its)",
)
NEGATIONS = _table(
    r"(?:not|never|\w+n't|without|neither|nor|cannot|no longer|nobody|none|no)\s+(?:\w+\s+){0,3}$",
    r"(?:no|any) <1>(?:intention|plan|wish|desire|question|need|sign|evidence|thought|talk|reason|interest|"
    r"threat) (?:of|to|for|in|that)\s+(?:\w+\s+){0,3}$",
    r"(?:denied|denies|deny|denying|disclaim\w*|disavow\w*|disown\w*)\s+(?:[\w']+\s+){0,6}$",
    r"(?:rul(?:ed?|es|ing) out|renounc\w+|forsw\w+|refrain\w* from|stopped short of|fell short of|instead "
    r"of|rather than)\s+(?:\w+\s+){0,4}$",
    r"(?:avoid\w*|prevent\w*|rejected talk of|far from|hardly|failed to|declined to|unable "
    r"to)\s+(?:\w+\s+){0,3}$",
)
RESTRAINT = _table(
    r"(?:urg|appeal|call|plead|beg|ask|implor)\w* <9>(?:restraint|calm\b|not to (?:retaliate|respond|"
    r"strike|answer|escalate|fire|hit|attack)|de-?escalat\w+|hold (?:its|their|his) (?:fire|hand)|refrain|"
    r"cool heads)",
    r"(?:no|neither) (?:revenge|vengeance|reprisals?|retaliation|retribution)",
)
OTHER_FIELDS = _table(
    r"(?:goals?|goalkeeper|striker|midfield\w*|defender|half-?time|penalty (?:kick|area|shoot-?out)|"
    r"hat-?trick|semi-?final\w*|quarter-?final\w*|play-?offs?)\b",
    r"(?:football|soccer|cricket|rugby|tennis|hockey|basketball|baseball|boxing|wrestling|olympic\w*|chess|"
    r"grand prix|marathon|golf|athletics|cyclists?)\b",
    r"(?:champions? league|premier league|world cup|derby|wickets?|innings|batsm[ae]n|bowlers?|coach|"
    r"referee|fixtures?|title race|knockout|championships?|tournament)\b|price war|takeover bid",
    r"shareholders?|hostile (?:bid|takeover)|profit warning|quarterly|retailers?|supermarkets?|earnings\b",
    r"(?:hurricane|typhoon|cyclone|tornado|thunderstorms?|snowfall|forecasters?|meteorolog\w+|heat ?wave|"
    r"downpours?|gusts?|drought|earthquake|floods?|frost)\b",
    r"(?:virus|coronavirus|covid\S*|vaccin\w+|pandemic|influenza|infections?|patients?|malaria|cholera|"
    r"cancer|antibiotic\w*|symptoms)\b",
    r"(?:film|movie|album|actors?|singer|concert|novel|box office|theatre|opera|band's|guitarist|"
    r"television series|museum|anime|musicians?)\b",
    r"(?:wolf|wolves|bees|wasps?|locusts?|sharks?|elephants?|bears?\b (?:and|attack)|dinosaur|fossils?|"
    r"species|telescope|asteroid|researchers?|scientists?|astronom\w+)\b",
    r"(?:premiership|fans?|trophy|airlines?|discount)\b",
    r"(?:burglar\w*|robbers?|robbery|shoplift\w*|motorists?)\b",
    r"(?:futures|dealers|harvest|crop|recipe|gardeners?)\b",
)
FORECASTS = _table(
    r"(?:analysts?|experts?|observers?|commentators?|economists?|diplomats?|historians?|scholars?|lecturer|"
    r"traders?|professor|columnists?|pundits?|researchers?|think-?tanks?)\b(?: [\w,'-]+){0,8} (?:fear\w*|"
    r"warn\w*|predict\w*|expect\w*|believ\w+|said|says|say|think|thought|argu\w+|suggest\w*|doubt\w*|"
    r"caution\w*|reckon\w*|see|worr\w+|wonder\w*|saw)\b",
    r"declined to (?:comment|say|answer|be drawn)|no comment|did not (?:say|elaborate|comment)",
    r"(?:fears?|speculation|rumou?rs?) (?:\w+ )?(?:of|about|that|over|grew|mounted|spread)\b",
    r"(?:pollsters|hawks|many people|consultants?|strategists?) <6>(?:predict|think|expect|"
    r"say|said)\w*",
)
IN_PASSING = _table(
    r"(?:the |any |a |such |of |western |these |their )?(?:threats?|ultimatum|deterrence|deterrent|"
    r"retaliation|reprisals?|revenge) (?:theory|doctrine|literature|studies|novel|film|is a|are|was one|"
    r"has been a)\b",
    r"existential threats?|(?:history|theory|anniversary|study|lesson|book|museum|memory|definition) of\b",
    r"(?:criticis?z?ed|denounced|condemned|deplored|rejected|dismissed|shrugged off|ignored|defied|called) "
    r"<4>(?:threats?|ultimatum|reprisals?|retaliation|revenge)\b",
)
SUBORDINATE = _table(
    r"(?:although|though|while|whereas|even though|despite|notwithstanding|in spite of|even as|far from) "
    r"[^,;]{1,160},",
    r"(?:, (?:which|who|whose|whom) [^,;]{1,120}(?:,|$))",
)
# Words of reason: an answer to harm where the sentence also tells of a harmful act, or of two around it.
REPLIES = _table(r"in (?:response|reply|answer|reaction|retaliation|revenge|reprisal|view of)\b|because of\b")
REASONS = _table(r"because\b|on account of|for (?:the|its|their|our|his|what)\b|over (?:the|its|their|a)\b")
HARMFUL_ACTS = _table(
    r"(?:kill|murder|attack|raid|bomb|shell(?:ed|ing)|seiz|arrest|detain|expel|massacr|ambush|kidnap)\w*",
    r"(?:shot|shoot\w*|ban(?:ned)?|sanction\w*|tariffs?|dut(?:y|ies)|blockade\w*|clos(?:ed|ing|ure))\b",
    r"(?:fir(?:ed|es|ing|e)|missiles?|rockets?|mortars?|burn(?:ed|ing)|s[au]nk|blast|strikes?|struck)\b",
    r"(?:hit|fro[zs]en?|suspend\w*|cut|severed|broke|cancel\w*|impos\w+|embargo\w*|visas?|expulsions?)\b",
    r"(?:looting|storm(?:ed|ing)|deaths?|dead|shut|barred|block(?:ed|ing)|jailed|recall\w*|hanged)\b",
)

_STANCE_WEIGHTS = (
    (HOSTILE, HOSTILE_ACTS + HOSTILE_SPEECH, 2),
    (HOSTILE, HOSTILE_NOUNS, 1),
    (CONCILIATORY, CONCILIATORY_ACTS + CONCILIATORY_SPEECH, 2),
    (CONCILIATORY, CONCILIATORY_NOUNS, 1),
)
_SIGNAL_TABLES = (THREAT_PATTERNS, DETERRENCE_PATTERNS, RETALIATION_PATTERNS)


def _found(table: Iterable[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in table)


def _negated(text: str, start: int) -> bool:
    clause = re.split(r"[.;:,]", text[max(0, start - _NEGATION_WINDOW) : start])[-1]
    return _found(NEGATIONS, clause)


def _count(table: Iterable[re.Pattern[str]], text: str) -> int:
    starts = (match.start() for pattern in table for match in pattern.finditer(text))
    return sum(not _negated(text, start) for start in starts)


def _answers_harm(text: str) -> bool:
    if _count(REPLIES, text) and _found(HARMFUL_ACTS, text):
        return True
    for match in REASONS[0].finditer(text):
        after = text[match.end() : match.end() + 70]
        if _found(HARMFUL_ACTS, text[: match.start()]) and _found(HARMFUL_ACTS, after):
            return not _negated(text, match.start())
    return False


def _signals(text: str) -> tuple[str, ...]:
    if _found(IN_PASSING, text):
        return ()
    on = {signal for signal, table in zip(SIGNALS, _SIGNAL_TABLES, strict=True) if _count(table, text)}
    if _answers_harm(text):
        on.add(RETALIATION)
    return tuple(signal for signal in SIGNALS if signal in on)


def _stance(text: str, signals: tuple[str, ...]) -> str:
    for pattern in SUBORDINATE:
        text = pattern.sub(" ", text)
    weights = {HOSTILE: 2 * len(signals), CONCILIATORY: 0}
    for stance, table, weight in _STANCE_WEIGHTS:
        weights[stance] += weight * _count(table, text)
    if not any(weights.values()):
        return NEUTRAL
    return HOSTILE if weights[HOSTILE] >= weights[CONCILIATORY] else CONCILIATORY


def classify(text: str) -> tuple[str, tuple[str, ...]]:
    """Label one sentence by its keywords.

    :param text: the sentence; only its first 2,000 characters are read.
    :return: the stance, and the signals in label order.
    """
    plain = " ".join(text[:_LONGEST].lower().replace("\u2019", "'").split())
    if _found(RESTRAINT, plain):
        return CONCILIATORY, ()
    if _found(OTHER_FIELDS, plain) or _found(FORECASTS, plain):
        return NEUTRAL, ()
    signals = _signals(plain)
    return _stance(plain, signals), signals


def classify_all(texts: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Label several sentences, each by itself.

    :param texts: the sentences.
    :return: a stance and signals for each, as :func:`classify` gives them, in the same order.
    """
    return [classify(text) for text in texts]
